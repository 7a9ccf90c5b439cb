-- one row per due roll-up and cell in it; target: the roll-up's row, for its four texts would be copied into six
-- times as many rows
CREATE OR REPLACE TEMP TABLE work_rollup_member AS
SELECT
    due.rowid AS target,
    cell.kato,
    period.own_period,
    period.period_start,
    period.period_end,
    period.period_end AS period_end_population_date,
    cell.obs_status IN ${with_parts} AS counts,
    cell.obs_status,
    cell.numerator,
    cell.denominator,
    cell.sample_size,
    cell.definition_version,
    cell.rejected_rows,
    cell.gap_rows,
    cell.rejected_rows + cell.gap_rows > 0 AS lossy,
    cell.numerator_low,
    cell.denominator_low,
    cell.numerator_high,
    cell.denominator_high
FROM work_due_rollup AS due
JOIN work_sum_over_time AS sums USING (kpi_code)
JOIN work_rollup_period AS period USING (period_id, grain)
JOIN work_area AS area USING (area_kind, area)
JOIN ${current_values} AS cell
    ON (cell.kpi_code, cell.kato, cell.period_id) = (due.kpi_code, area.kato, period.own_period)
WHERE sums.over_time <> 'last' OR period.closing
