-- one row per value now in force of a requested KPI that was computed before
-- due: it is computed again whatever happened to its inputs: its definition changed, or its late-data window has
-- closed
CREATE OR REPLACE TEMP TABLE work_former_cell AS
SELECT
    requested.kpi_code,
    requested.version,
    requested.computed_seq,
    former.kato,
    former.state,
    period.period_id,
    period.period_start,
    period.period_end,
    former.rejected_rows + former.gap_rows > 0 AS bounded,
    former.definition_hash <> requested.definition_hash
    OR former.obs_status = 'P' AND period.period_end + requested.late_days <= CAST(${today} AS DATE) AS due
FROM work_requested_kpi AS requested
JOIN kpi.value AS former USING (kpi_code)
JOIN registry.period AS period
    ON
        former.period_id = period.period_id
        AND requested.grain = period.grain
        AND period.period_start >= requested.starts
        AND period.period_start < requested.ends
WHERE former.valid_to_seq IS NULL AND requested.computed_seq IS NOT NULL
