-- KPIs and periods of which every settlement has a value
SELECT
    kpi_code,
    period_id
FROM kpi.value
WHERE valid_to_seq IS NULL
GROUP BY ALL
HAVING count(*) >= (SELECT count(*) FROM registry.settlement)
