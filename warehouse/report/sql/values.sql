-- One row per published value of a settlement for which anything was delivered; of hidden values nothing but that
-- they are.
SELECT
    cell.kpi_code,
    cell.kato,
    cell.period_id,
    cell.period_start,
    cell.value,
    cell.value_low,
    cell.value_high,
    cell.numerator,
    cell.denominator,
    cell.sample_size,
    cell.rejected_rows,
    cell.gap_rows,
    cell.obs_status,
    cell.reason_en,
    cell.reason_ru,
    cell.reason_kk,
    cell.coverage,
    cell.definition_version,
    cell.as_of_seq
FROM public_values AS cell
WHERE cell.kato IN (SELECT scope FROM deliveries)
ORDER BY cell.kato, cell.kpi_code, cell.period_start, cell.period_id
