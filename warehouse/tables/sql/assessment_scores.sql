-- Coverage, achievement and level of every initiative and sphere, and of the settlement, in the newest assessment of
-- every year; figures of an initiative or sphere from which a restricted KPI's score would follow are left out
WITH restricted_item AS (
    SELECT
        item.assessment_id,
        item.kato,
        definition.initiative,
        definition.sphere
    FROM kpi.assessment_item AS item
    JOIN registry.kpi AS definition USING (kpi_code)
    WHERE definition.sensitivity = 'restricted' AND item.score IS NOT NULL
),

hidden AS (
    SELECT
        assessment_id,
        kato,
        initiative AS node
    FROM restricted_item
    UNION
    SELECT
        assessment_id,
        kato,
        sphere
    FROM restricted_item
)

SELECT
    assessment.year,
    assessment.catalogue_id,
    score.assessment_id,
    score.kato,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru,
    settlement.name_kk AS settlement_kk,
    score.node_kind,
    score.node,
    coalesce(sphere.name_en, initiative.name_en, settlement.name_en) AS node_en,
    coalesce(sphere.name_ru, initiative.name_ru, settlement.name_ru) AS node_ru,
    coalesce(sphere.name_kk, initiative.name_kk, settlement.name_kk) AS node_kk,
    round(100 * score.coverage * 10) / 10 AS coverage_percent,
    CASE WHEN hidden.node IS NULL THEN round(score.achievement * 10) / 10 END AS achievement,
    CASE WHEN hidden.node IS NULL THEN round(score.level * 10) / 10 END AS level,
    CASE WHEN hidden.node IS NULL THEN round(score.level_low * 10) / 10 END AS level_low,
    CASE WHEN hidden.node IS NULL THEN round(score.level_high * 10) / 10 END AS level_high
FROM kpi.assessment_score AS score
JOIN (
    SELECT *
    FROM kpi.assessment
    QUALIFY row_number() OVER (PARTITION BY year, catalogue_id ORDER BY version DESC) = 1
) AS assessment USING (assessment_id)
JOIN registry.settlement AS settlement USING (kato)
LEFT JOIN registry.sphere AS sphere ON score.node_kind = 'sphere' AND sphere.sphere = score.node
LEFT JOIN registry.initiative AS initiative
    ON
        score.node_kind = 'initiative'
        AND (initiative.initiative, initiative.catalogue_id) = (score.node, assessment.catalogue_id)
LEFT JOIN hidden USING (assessment_id, kato, node)
