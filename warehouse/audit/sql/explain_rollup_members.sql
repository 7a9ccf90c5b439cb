-- One row per cell that a roll-up is made of, those without a value last.
SELECT
    cell.kato,
    settlement.name_en,
    cell.period_id,
    cell.value,
    cell.value_low,
    cell.value_high,
    cell.rejected_rows,
    cell.gap_rows,
    cell.numerator,
    cell.denominator,
    cell.sample_size,
    cell.state,
    cell.obs_status,
    cell.reason
FROM kpi.value AS cell
INNER JOIN registry.settlement AS settlement USING (kato)
INNER JOIN registry.period AS period ON cell.period_id = period.period_id
WHERE
    cell.kpi_code = ${code}
    AND ${held}
    AND ${of_area}
    AND period.period_start >= ${period_start}
    AND period.period_end <= ${period_end}
    AND ${of_last_period}
    AND cell.obs_status <> ${not_applicable}
ORDER BY cell.value IS NULL, cell.kato, cell.period_id
