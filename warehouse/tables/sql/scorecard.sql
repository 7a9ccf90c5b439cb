-- Newest assessment of every year by settlement: level = coverage x achievement,
-- place in the item 7 group (our proposal)
SELECT
    assessment.year,
    assessment.catalogue_id,
    assessment.status,
    status_said.name_en AS status_en,
    status_said.name_ru AS status_ru,
    status_said.name_kk AS status_kk,
    assessment.version,
    placed.kato,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru,
    settlement.name_kk AS settlement_kk,
    settlement.region_kato,
    region.name_en AS region_en,
    region.name_ru AS region_ru,
    region.name_kk AS region_kk,
    placed.item7_group,
    item7_group.name_en AS item7_group_en,
    item7_group.name_ru AS item7_group_ru,
    item7_group.name_kk AS item7_group_kk,
    round(100 * score.coverage * 10) / 10 AS coverage_percent,
    round(score.achievement * 10) / 10 AS achievement,
    round(score.level * 10) / 10 AS level,
    round(score.level_low * 10) / 10 AS level_low,
    round(score.level_high * 10) / 10 AS level_high,
    placed.state,
    state_said.name_en AS state_en,
    state_said.name_ru AS state_ru,
    state_said.name_kk AS state_kk,
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
LEFT JOIN registry.region AS region ON region.kato = settlement.region_kato
LEFT JOIN registry.item7_group AS item7_group ON item7_group.item7_group = placed.item7_group
JOIN kpi.assessment_score AS score
    ON
        (score.assessment_id, score.kato, score.node_kind)
        = (assessment.assessment_id, placed.kato, 'settlement')
LEFT JOIN registry.code_list AS status_said
    ON status_said.list = 'assessment_status' AND status_said.code = assessment.status
LEFT JOIN registry.code_list AS state_said ON state_said.list = 'ranking_state' AND state_said.code = placed.state
