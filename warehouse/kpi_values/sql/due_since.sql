-- (month to run, KPI, sequence): months of deliveries decided on, or with an incident closed, after a KPI over
-- their table was last computed
-- a KPI that never was computed is found by its periods (due_absent.sql)
WITH decision AS (
    SELECT
        table_name,
        period_start,
        period_end,
        max(seq) AS seq
    FROM (
        SELECT
            table_name,
            period_start,
            period_end,
            loaded_seq AS seq
        FROM audit.delivery
        WHERE loaded_seq > ${since} AND state IN ('loaded', 'refused')
        UNION ALL
        SELECT
            delivery.table_name,
            delivery.period_start,
            delivery.period_end,
            incident.closed_seq
        FROM audit.incident AS incident
        JOIN audit.delivery AS delivery USING (delivery_id)
        WHERE incident.closed_seq > ${since}
    ) AS decided
    GROUP BY ALL
)

SELECT
    period_month.period_id,
    kpi.kpi_code,
    max(decision.seq)::VARCHAR AS last_seq
FROM decision
JOIN registry.period AS period_month
    ON
        period_month.grain = 'M'
        AND period_month.period_start >= decision.period_start
        AND period_month.period_end <= decision.period_end
JOIN work_table_read AS table_read ON decision.table_name = table_read.table_name
JOIN work_kpi_in_force AS kpi
    ON
        table_read.kpi_code = kpi.kpi_code
        AND table_read.version = kpi.version
        AND period_month.period_start < kpi.ends
        AND period_month.period_end > kpi.starts
WHERE decision.seq > kpi.computed_seq AND period_month.period_end <= ${first}
GROUP BY ALL
ORDER BY ALL
