-- Current KPI values of regions, item 7 groups and the country, and of settlements over whole years
SELECT
    cell.kpi_code,
    definition.name_en AS kpi_name_en,
    definition.name_ru AS kpi_name_ru,
    cell.area_kind,
    cell.area,
    coalesce(settlement.name_en, region.name_en, cell.area) AS area_en,
    coalesce(settlement.name_ru, region.name_ru, cell.area) AS area_ru,
    cell.period_id,
    cell.period_start,
    cell.value,
    cell.value_low,
    cell.value_high,
    definition.unit,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.numerator END AS numerator,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.denominator END AS denominator,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.sample_size END AS sample_size,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.rejected_rows END AS rejected_rows,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.gap_rows END AS gap_rows,
    cell.counted,
    cell.applicable,
    cell.state,
    cell.obs_status,
    cell.reason,
    definition.sphere,
    definition.initiative,
    definition.sensitivity,
    cell.definition_version
FROM kpi.rollup AS cell
JOIN registry.kpi AS definition ON definition.code = cell.kpi_code AND definition.version = cell.definition_version
LEFT JOIN registry.settlement AS settlement ON cell.area_kind = 'settlement' AND settlement.kato = cell.area
LEFT JOIN registry.region AS region ON cell.area_kind = 'region' AND region.kato = cell.area
WHERE ${held}
