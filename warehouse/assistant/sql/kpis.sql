-- The newest version of every KPI with its initiative.
SELECT
    definition.* EXCLUDE (definition),
    initiative.name_en AS initiative_en,
    initiative.name_ru AS initiative_ru,
    initiative.name_kk AS initiative_kk,
    initiative.named_in_order
FROM registry.kpi AS definition
JOIN registry.initiative AS initiative ON initiative.code = definition.initiative
QUALIFY definition.version = max(definition.version) OVER (PARTITION BY definition.code)
ORDER BY definition.code
