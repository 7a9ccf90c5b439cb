-- The newest version of every KPI that has a figure, with its list, sphere and initiative
SELECT
    definition.code,
    definition.version,
    definition.name_en,
    definition.name_ru,
    definition.name_kk,
    passport.description_en,
    passport.description_ru,
    NULL AS description_kk,
    definition.unit,
    definition.direction,
    definition.kind,
    definition.grain,
    definition.valid_from,
    definition.definition_hash,
    definition.sensitivity,
    definition.definition->>'$.change_note' AS change_note,
    passport.calculation,
    passport.source,
    passport.breakdown,
    passport.assumptions,
    passport.standards,
    passport.sign_off,
    definition.sphere,
    sphere.number AS sphere_number,
    sphere.name_en AS sphere_en,
    sphere.name_ru AS sphere_ru,
    sphere.name_kk AS sphere_kk,
    definition.initiative,
    initiative.name_en AS initiative_en,
    initiative.name_ru AS initiative_ru,
    initiative.name_kk AS initiative_kk,
    definition.catalogue_id AS catalogue
FROM registry.kpi AS definition
JOIN registry.case_passport AS passport USING (code, version)
JOIN registry.initiative AS initiative ON initiative.code = definition.initiative
JOIN registry.sphere AS sphere ON sphere.code = definition.sphere
QUALIFY row_number() OVER (PARTITION BY definition.code ORDER BY definition.version DESC) = 1
ORDER BY catalogue, sphere.number, definition.code
