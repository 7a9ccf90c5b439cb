-- Cells of a period, of the settlements and KPIs asked about.
SELECT
    *,
    obs_status IN ${with_value} AS has_value
FROM public_values
WHERE
    period_id = ${period_id}
    AND ${of_area}
    AND (${kpi_code} IS NULL OR kpi_code = ${kpi_code})
    AND (${sphere} IS NULL OR sphere = ${sphere})
ORDER BY kato, kpi_code
