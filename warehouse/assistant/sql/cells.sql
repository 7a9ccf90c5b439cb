-- Cells of a period, of the settlements and KPIs asked about.
SELECT
    cell.* EXCLUDE (item7_group),
    settlement.item7_group,
    settlement.region_kato,
    settlement.name_en,
    settlement.name_ru,
    settlement.name_kk,
    cell.obs_status IN ${with_value} AS has_value
FROM public_values AS cell
JOIN registry.settlement AS settlement USING (kato)
WHERE
    cell.period_id = ${period_id}
    AND ${of_area}
    AND (${kpi_code} IS NULL OR cell.kpi_code = ${kpi_code})
    AND (${sphere} IS NULL OR cell.sphere = ${sphere})
ORDER BY cell.kato, cell.kpi_code
