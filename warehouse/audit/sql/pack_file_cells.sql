-- One row per cell that a roll-up is made of: its published value as it held, and whether the sum counts it.
SELECT
    cell.kato,
    settlement.name_en,
    cell.period_id,
    cell.period_start,
    period.period_end,
    cell.definition_version,
    cell.value,
    cell.numerator,
    cell.denominator,
    cell.sample_size,
    cell.obs_status,
    cell.state,
    cell.obs_status IN ${with_parts} AS counts,
    cell.rejected_rows,
    cell.gap_rows,
    cell.valid_from_seq
FROM kpi.value AS cell
INNER JOIN registry.settlement AS settlement USING (kato)
INNER JOIN registry.period AS period ON cell.period_id = period.period_id
WHERE cell.kpi_code = ${code} AND ${held} AND (${cells})
ORDER BY cell.kato, cell.period_id
