-- (month to run, KPI, period): periods whose closing month has a delivery that the KPI reads, and for which some
-- settlement has no value
WITH delivered AS (
    SELECT DISTINCT
        delivery.table_name,
        period_month.period_id AS month
    FROM (
        SELECT DISTINCT
            table_name,
            period_start,
            period_end
        FROM audit.delivery
        WHERE state IN ('loaded', 'refused')
    ) AS delivery
    JOIN registry.period AS period_month
        ON
            period_month.grain = 'M'
            AND period_month.period_start >= delivery.period_start
            AND period_month.period_end <= delivery.period_end
),

due AS (
    SELECT DISTINCT
        period.closing_month,
        kpi.kpi_code,
        period.period_id
    FROM work_kpi_in_force AS kpi
    JOIN registry.period AS period
        ON
            kpi.grain = period.grain
            AND period.period_start >= kpi.starts
            AND period.period_start < kpi.ends
            AND period.period_end <= ${first}
    JOIN work_table_read AS table_read USING (kpi_code, version)
    JOIN delivered
        ON table_read.table_name = delivered.table_name AND period.closing_month = delivered.month
    WHERE table_read.own
)

SELECT *
FROM due
ANTI JOIN (${computed}) AS computed ON (computed.kpi_code, computed.period_id) = (due.kpi_code, due.period_id)
ORDER BY ALL
