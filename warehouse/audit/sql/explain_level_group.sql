-- One row per settlement of an item 7 group: level and place of the assessment, in the order of places.
SELECT
    rank.kato,
    settlement.name_en,
    settlement.name_ru,
    rank.state,
    score.coverage,
    score.level,
    score.level_low,
    score.level_high,
    rank.rank,
    rank.rank_best,
    rank.rank_worst,
    rank.rank_low,
    rank.rank_high
FROM kpi.assessment_rank AS rank
INNER JOIN registry.settlement AS settlement USING (kato)
INNER JOIN kpi.assessment_score AS score
    ON rank.assessment_id = score.assessment_id AND rank.kato = score.kato AND score.node_kind = 'settlement'
WHERE rank.assessment_id = ${assessment} AND rank.item7_group = ${item7_group}
ORDER BY rank.rank NULLS LAST, score.level DESC, rank.kato
