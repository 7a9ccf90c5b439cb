-- One row per KPI that applies to a settlement: value, weight and score of the assessment, in the order of spheres.
SELECT
    item.kpi_code AS code,
    coalesce(kpi.name_en, '') AS name,
    kpi.unit,
    kpi.initiative,
    kpi.sphere,
    item.value,
    item.obs_status,
    item.reason,
    item.weight,
    item.score,
    item.score_low,
    item.score_high
FROM kpi.assessment_item AS item
INNER JOIN (
    SELECT *
    FROM registry.kpi
    QUALIFY row_number() OVER (PARTITION BY kpi_code ORDER BY definition_version DESC) = 1
) AS kpi ON item.kpi_code = kpi.kpi_code
INNER JOIN registry.sphere AS sphere ON kpi.sphere = sphere.sphere
WHERE item.assessment_id = ${assessment} AND item.kato = ${kato}
ORDER BY sphere.number, kpi.initiative, item.kpi_code
