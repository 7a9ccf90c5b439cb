-- The newest version of every KPI, with its list, sphere and initiative
SELECT
    definition.*,
    sphere.number AS sphere_number,
    registered.definition ->> '$.change_note' AS change_note
FROM kpi_definitions AS definition
JOIN registry.kpi AS registered USING (kpi_code, definition_version)
JOIN registry.sphere AS sphere ON sphere.sphere = definition.sphere
WHERE definition.is_newest
ORDER BY definition.catalogue_id, sphere.number, definition.kpi_code
