-- One row per settlement of the group and KPI: value, weight and score as recorded in the assessment.
SELECT
    item.* EXCLUDE (assessment_id),
    kpi.initiative,
    kpi.sphere
FROM kpi.assessment_item AS item
INNER JOIN (
    SELECT *
    FROM registry.kpi
    QUALIFY row_number() OVER (PARTITION BY kpi_code ORDER BY definition_version DESC) = 1
) AS kpi ON item.kpi_code = kpi.kpi_code
WHERE ${of_group}
ORDER BY item.kato, item.kpi_code
