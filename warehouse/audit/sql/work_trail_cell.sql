-- One row per published value.
INSERT INTO work_trail_cell
SELECT
    cell.kpi_code,
    cell.definition_version AS version,
    cell.kato,
    cell.period_id,
    period.period_start,
    period.period_end,
    cell.as_of_seq
FROM public_values AS cell
INNER JOIN registry.period AS period USING (period_id)
