-- Current KPI values of regions, item 7 groups and the country, and of settlements over whole years
SELECT
    cell.kpi_code,
    definition.name_en AS kpi_name_en,
    definition.name_ru AS kpi_name_ru,
    definition.name_kk AS kpi_name_kk,
    cell.area_kind,
    cell.area,
    coalesce(settlement.name_en, region.name_en, item7_group.name_en, ${country_en}) AS area_en,
    coalesce(settlement.name_ru, region.name_ru, item7_group.name_ru, ${country_ru}) AS area_ru,
    coalesce(settlement.name_kk, region.name_kk, item7_group.name_kk, ${country_kk}) AS area_kk,
    cell.period_id,
    period.grain,
    cell.period_start,
    cast(cell.period_id[:4] AS INTEGER) AS year,
    cell.value,
    cell.value_low,
    cell.value_high,
    definition.unit,
    unit.symbol AS unit_symbol,
    unit.name_en AS unit_en,
    unit.name_ru AS unit_ru,
    unit.name_kk AS unit_kk,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.numerator END AS numerator,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.denominator END AS denominator,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.sample_size END AS sample_size,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.rejected_rows END AS rejected_rows,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.gap_rows END AS gap_rows,
    cell.counted,
    cell.applicable,
    cell.state,
    status.name_en AS state_en,
    status.name_ru AS state_ru,
    status.name_kk AS state_kk,
    cell.obs_status,
    message.code AS reason_code,
    coalesce(message.text_en, cell.reason) AS reason_en,
    coalesce(message.text_ru, cell.reason) AS reason_ru,
    coalesce(message.text_kk, cell.reason) AS reason_kk,
    definition.sphere,
    sphere.name_en AS sphere_en,
    sphere.name_ru AS sphere_ru,
    sphere.name_kk AS sphere_kk,
    definition.initiative,
    initiative.name_en AS initiative_en,
    initiative.name_ru AS initiative_ru,
    initiative.name_kk AS initiative_kk,
    definition.direction,
    direction.name_en AS direction_en,
    direction.name_ru AS direction_ru,
    direction.name_kk AS direction_kk,
    definition.sensitivity,
    cell.definition_version,
    definition.catalogue_id,
    definition.catalogue_status,
    cell.as_of_seq
FROM kpi.rollup AS cell
JOIN registry.kpi AS definition USING (kpi_code, definition_version)
LEFT JOIN registry.period AS period ON period.period_id = cell.period_id
LEFT JOIN registry.settlement AS settlement ON cell.area_kind = 'settlement' AND settlement.kato = cell.area
LEFT JOIN registry.region AS region ON cell.area_kind = 'region' AND region.kato = cell.area
LEFT JOIN registry.item7_group AS item7_group ON cell.area_kind = 'group' AND item7_group.item7_group = cell.area
LEFT JOIN registry.unit AS unit ON unit.unit = definition.unit
LEFT JOIN registry.direction AS direction ON direction.direction = definition.direction
LEFT JOIN registry.sphere AS sphere ON sphere.sphere = definition.sphere
LEFT JOIN registry.initiative AS initiative
    ON initiative.initiative = definition.initiative AND initiative.catalogue_id = definition.catalogue_id
LEFT JOIN registry.obs_status AS status ON status.obs_status = cell.obs_status
LEFT JOIN registry.message AS message ON message.message = cell.reason
WHERE ${held}
