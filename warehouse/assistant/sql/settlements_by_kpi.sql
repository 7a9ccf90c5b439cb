-- In how many settlements a KPI has a value that is published.
SELECT
    kpi_code,
    count(DISTINCT kato) AS settlements
FROM public_values
WHERE obs_status IN ${with_value}
GROUP BY kpi_code
