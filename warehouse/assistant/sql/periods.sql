-- Periods with cells, the newest first, and how many of them have a value that is published.
SELECT
    period_id AS period,
    grain AS published_by,
    count(*) FILTER (WHERE obs_status IN ${with_value}) AS values,
    count(*) FILTER (WHERE obs_status NOT IN ${with_value}) AS without_value
FROM public_values
WHERE (${kpi_code} IS NULL OR kpi_code = ${kpi_code}) AND (${kato} IS NULL OR kato = ${kato})
GROUP BY ALL
ORDER BY max(period_start) DESC, period_id DESC
