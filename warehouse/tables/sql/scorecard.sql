-- Newest assessment of every year by settlement: level = coverage x achievement,
-- place in the item 7 group (our proposal)
SELECT
    assessment.year,
    assessment.catalogue_id,
    assessment.status,
    assessment.version,
    placed.kato,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru,
    placed.item7_group,
    round(100 * score.coverage * 10) / 10 AS coverage_percent,
    round(score.achievement * 10) / 10 AS achievement,
    round(score.level * 10) / 10 AS level,
    round(score.level_low * 10) / 10 AS level_low,
    round(score.level_high * 10) / 10 AS level_high,
    placed.state,
    placed.rank,
    placed.rank_best,
    placed.rank_worst,
    placed.rank_low,
    placed.rank_high,
    assessment.assessment_id
FROM (
    SELECT *
    FROM kpi.assessment
    QUALIFY row_number() OVER (PARTITION BY year, catalogue_id ORDER BY version DESC) = 1
) AS assessment
JOIN kpi.assessment_rank AS placed USING (assessment_id)
JOIN registry.settlement AS settlement USING (kato)
JOIN kpi.assessment_score AS score
    ON
        (score.assessment_id, score.kato, score.node_kind)
        = (assessment.assessment_id, placed.kato, 'settlement')
