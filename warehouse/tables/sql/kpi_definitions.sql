-- Every version of every KPI that was ever used: what is counted, how, in which unit, from when to when, and on what it
-- rests
SELECT
    definition.kpi_code,
    definition.definition_version,
    row_number() OVER (PARTITION BY definition.kpi_code ORDER BY definition.definition_version DESC) = 1 AS is_newest,
    definition.name_en AS kpi_name_en,
    definition.name_ru AS kpi_name_ru,
    definition.name_kk AS kpi_name_kk,
    definition.description_en,
    definition.description_ru,
    definition.description_kk,
    passport.calculation,
    definition.unit,
    unit.symbol AS unit_symbol,
    unit.name_en AS unit_en,
    unit.name_ru AS unit_ru,
    unit.name_kk AS unit_kk,
    definition.direction,
    direction.name_en AS direction_en,
    direction.name_ru AS direction_ru,
    direction.name_kk AS direction_kk,
    definition.kind,
    kind_said.name_en AS kind_en,
    kind_said.name_ru AS kind_ru,
    kind_said.name_kk AS kind_kk,
    definition.grain,
    grain_said.name_en AS grain_en,
    grain_said.name_ru AS grain_ru,
    grain_said.name_kk AS grain_kk,
    definition.sphere,
    sphere.name_en AS sphere_en,
    sphere.name_ru AS sphere_ru,
    sphere.name_kk AS sphere_kk,
    definition.initiative,
    initiative.name_en AS initiative_en,
    initiative.name_ru AS initiative_ru,
    initiative.name_kk AS initiative_kk,
    passport.breakdown,
    passport.source,
    passport.assumptions,
    passport.standards,
    definition.valid_from,
    definition.valid_to,
    definition.sensitivity,
    sensitivity_said.name_en AS sensitivity_en,
    sensitivity_said.name_ru AS sensitivity_ru,
    sensitivity_said.name_kk AS sensitivity_kk,
    definition.catalogue_id,
    definition.catalogue_version,
    definition.catalogue_status,
    catalogue_status_said.name_en AS catalogue_status_en,
    catalogue_status_said.name_ru AS catalogue_status_ru,
    catalogue_status_said.name_kk AS catalogue_status_kk,
    catalogue.legal_basis,
    passport.sign_off,
    definition.definition_hash,
    definition.registered_seq
FROM registry.kpi AS definition
LEFT JOIN registry.case_passport AS passport USING (kpi_code, definition_version)
LEFT JOIN registry.catalogue AS catalogue ON catalogue.catalogue_id = definition.catalogue_id
LEFT JOIN registry.unit AS unit ON unit.unit = definition.unit
LEFT JOIN registry.direction AS direction ON direction.direction = definition.direction
LEFT JOIN registry.sphere AS sphere ON sphere.sphere = definition.sphere
LEFT JOIN registry.initiative AS initiative
    ON initiative.initiative = definition.initiative AND initiative.catalogue_id = definition.catalogue_id
LEFT JOIN registry.code_list AS kind_said ON kind_said.list = 'kpi_kind' AND kind_said.code = definition.kind
LEFT JOIN registry.code_list AS grain_said ON grain_said.list = 'grain' AND grain_said.code = definition.grain
LEFT JOIN registry.code_list AS sensitivity_said
    ON sensitivity_said.list = 'sensitivity' AND sensitivity_said.code = definition.sensitivity
LEFT JOIN registry.code_list AS catalogue_status_said
    ON catalogue_status_said.list = 'catalogue_status' AND catalogue_status_said.code = definition.catalogue_status
