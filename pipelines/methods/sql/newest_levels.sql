-- One row per settlement of the newest assessments: its level and place.
SELECT
    card.year,
    card.catalogue_id,
    card.kato,
    card.settlement_en,
    score.level,
    card.rank
FROM scorecard AS card
INNER JOIN kpi.assessment_score AS score
    ON card.assessment_id = score.assessment_id AND card.kato = score.kato AND score.node_kind = 'settlement'
ORDER BY ALL
