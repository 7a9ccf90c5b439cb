-- The newest version of every KPI with its unit and its initiative.
SELECT
    definition.* EXCLUDE (definition),
    unit.name_en AS unit_en,
    unit.name_ru AS unit_ru,
    unit.name_kk AS unit_kk,
    initiative.name_en AS initiative_en,
    initiative.name_ru AS initiative_ru,
    initiative.name_kk AS initiative_kk,
    initiative.named_in_order
FROM registry.kpi AS definition
JOIN registry.unit AS unit USING (unit)
JOIN registry.initiative AS initiative USING (initiative, catalogue_id)
QUALIFY definition.definition_version = max(definition.definition_version) OVER (PARTITION BY definition.kpi_code)
ORDER BY definition.kpi_code
