-- Periods with cells, the newest first, and how many of them have a value that is published.
SELECT
    cell.period_id AS period,
    period.grain AS published_by,
    count(*) FILTER (WHERE cell.obs_status IN ${with_value}) AS values,
    count(*) FILTER (WHERE cell.obs_status NOT IN ${with_value}) AS without_value
FROM public_values AS cell
JOIN registry.period AS period ON period.id = cell.period_id
WHERE (${kpi_code} IS NULL OR cell.kpi_code = ${kpi_code}) AND (${kato} IS NULL OR cell.kato = ${kato})
GROUP BY ALL
ORDER BY max(period.period_end) DESC, period.grain DESC
