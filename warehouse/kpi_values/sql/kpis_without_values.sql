-- KPIs in force for which some settlement has no value in a period that closes in one of the months
WITH computed AS (
    SELECT
        kpi_code,
        period_id
    FROM kpi.value
    WHERE valid_to_seq IS NULL
    GROUP BY ALL
    HAVING count(*) >= (SELECT count(*) FROM registry.settlement)
)

SELECT DISTINCT kpi.kpi_code
FROM work_kpi_in_force AS kpi
JOIN registry.period AS period
    ON
        kpi.grain = period.grain
        AND period.period_start >= kpi.starts
        AND period.period_start < kpi.ends
ANTI JOIN computed ON (computed.kpi_code, computed.period_id) = (kpi.kpi_code, period.period_id)
WHERE period.closing_month IN (${months})
ORDER BY ALL
