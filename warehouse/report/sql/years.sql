-- One row per KPI, settlement and year; of hidden values nothing but that they are.
SELECT
    cell.kpi_code,
    cell.kato,
    cell.year,
    CASE WHEN cell.shown THEN cell.value END AS value,
    CASE WHEN cell.shown THEN cell.value_low END AS value_low,
    CASE WHEN cell.shown THEN cell.value_high END AS value_high,
    CASE WHEN NOT cell.shown AND cell.value IS NOT NULL THEN ${suppressed} ELSE cell.obs_status END AS obs_status,
    CASE WHEN cell.shown THEN cell.reason_en END AS reason_en,
    CASE WHEN cell.shown THEN cell.reason_ru END AS reason_ru,
    CASE WHEN cell.shown THEN cell.reason_kk END AS reason_kk,
    CASE WHEN cell.shown THEN cell.definition_version END AS definition_version,
    cell.period_coverage
FROM (
    SELECT
        *,
        obs_status <> ${suppressed}
        AND kpi_code NOT IN (SELECT kpi_code FROM registry.kpi WHERE sensitivity = 'restricted') AS shown
    FROM year_values
) AS cell
ORDER BY cell.kpi_code, cell.kato, cell.year
