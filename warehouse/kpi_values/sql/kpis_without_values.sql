-- KPIs in force for which some settlement has no value in a period that closes in one of the months
SELECT DISTINCT kpi.kpi_code
FROM registry.period AS period
JOIN work_kpi_in_force AS kpi
    ON
        period.grain = kpi.grain
        AND period.period_start >= kpi.starts
        AND period.period_start < kpi.ends
ANTI JOIN (${computed}) AS computed ON (computed.kpi_code, computed.period_id) = (kpi.kpi_code, period.period_id)
WHERE period.closing_month IN (${months})
ORDER BY ALL
