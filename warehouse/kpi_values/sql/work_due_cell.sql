-- one row per KPI, settlement and period that has to be computed: of every settlement where the period is due,
-- else where an input changed
INSERT INTO work_due_cell
WITH due_now AS (
    SELECT
        requested.kpi_code,
        requested.version,
        settlement.kato,
        period.period_id,
        period.period_start,
        period.period_end
    FROM work_requested_kpi AS requested
    JOIN work_due_period AS due USING (grain)
    JOIN registry.period AS period
        ON
            due.period_id = period.period_id
            AND period.period_start >= requested.starts
            AND period.period_start < requested.ends
    CROSS JOIN registry.settlement AS settlement
),

rows_changed AS (
    SELECT former.*
    FROM work_former_cell AS former
    JOIN work_scan_read AS scan USING (kpi_code, version)
    JOIN work_changed_day AS changed
        ON
            scan.scan_key = changed.scan_key
            AND former.kato = changed.kato
            AND changed.day = CASE WHEN scan.event THEN former.period_start ELSE former.period_end END
            AND changed.seq > former.computed_seq
),

delivery_decided AS (
    SELECT former.*
    FROM work_former_cell AS former
    JOIN work_scan_read AS scan USING (kpi_code, version)
    JOIN work_decision AS decision
        ON
            scan.table_name = decision.table_name
            AND former.kato = decision.kato
            AND decision.period_start < former.period_end
            AND decision.period_end > former.period_start
            AND decision.seq > former.computed_seq
),

target_changed AS (
    SELECT former.*
    FROM work_former_cell AS former
    JOIN work_changed_day AS changed
        ON
            changed.scan_key = ${targets}
            AND former.kato = changed.kato
            AND year(changed.day) = year(former.period_start)
            AND changed.seq > former.computed_seq
    WHERE former.bounded
),

register_changed AS (
    SELECT former.*
    FROM work_former_cell AS former
    JOIN work_changed_day AS changed
        ON
            changed.scan_key = ${register}
            AND former.kato = changed.kato
            AND changed.seq > former.computed_seq
    WHERE former.state = 'not calculable'
),

again AS (
    SELECT * FROM work_former_cell WHERE due
    UNION ALL
    SELECT * FROM rows_changed
    UNION ALL
    SELECT * FROM delivery_decided
    UNION ALL
    SELECT * FROM target_changed
    UNION ALL
    SELECT * FROM register_changed
)

SELECT DISTINCT
    kpi_code,
    version,
    kato,
    period_id,
    period_start,
    period_end,
    period_end AS period_end_population_date
FROM (
    SELECT * FROM due_now
    UNION ALL
    SELECT
        kpi_code,
        version,
        kato,
        period_id,
        period_start,
        period_end
    FROM again
) AS due
ORDER BY ALL
