-- One value of every KPI for every settlement and year, with names: yearly KPIs as published, others over the year's
-- periods
SELECT
    cell.kpi_code,
    definition.name_en AS kpi_name_en,
    definition.name_ru AS kpi_name_ru,
    definition.name_kk AS kpi_name_kk,
    cell.kato,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru,
    settlement.name_kk AS settlement_kk,
    settlement.region_kato,
    region.name_en AS region_en,
    region.name_ru AS region_ru,
    region.name_kk AS region_kk,
    settlement.item7_group,
    item7_group.name_en AS item7_group_en,
    item7_group.name_ru AS item7_group_ru,
    item7_group.name_kk AS item7_group_kk,
    cell.year,
    cell.value,
    cell.value_low,
    cell.value_high,
    definition.unit,
    unit.symbol AS unit_symbol,
    unit.name_en AS unit_en,
    unit.name_ru AS unit_ru,
    unit.name_kk AS unit_kk,
    cell.state,
    status.name_en AS state_en,
    status.name_ru AS state_ru,
    status.name_kk AS state_kk,
    cell.obs_status,
    message.code AS reason_code,
    coalesce(message.text_en, cell.reason) AS reason_en,
    coalesce(message.text_ru, cell.reason) AS reason_ru,
    coalesce(message.text_kk, cell.reason) AS reason_kk,
    cell.sample_size,
    cell.period_coverage,
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
    definition.catalogue_status
FROM (${cells}) AS cell
JOIN registry.kpi AS definition USING (kpi_code, definition_version)
JOIN registry.settlement AS settlement USING (kato)
LEFT JOIN registry.region AS region ON region.kato = settlement.region_kato
LEFT JOIN registry.item7_group AS item7_group ON item7_group.item7_group = settlement.item7_group
LEFT JOIN registry.unit AS unit ON unit.unit = definition.unit
LEFT JOIN registry.direction AS direction ON direction.direction = definition.direction
LEFT JOIN registry.sphere AS sphere ON sphere.sphere = definition.sphere
LEFT JOIN registry.initiative AS initiative
    ON initiative.initiative = definition.initiative AND initiative.catalogue_id = definition.catalogue_id
LEFT JOIN registry.obs_status AS status ON status.obs_status = cell.obs_status
LEFT JOIN registry.message AS message ON message.message = cell.reason
