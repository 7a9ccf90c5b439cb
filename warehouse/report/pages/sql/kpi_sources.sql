-- One row per KPI and table that its newest definition reads, with the columns and the systems that delivered it.
SELECT
    source.kpi_code,
    source.table_name,
    string_agg(DISTINCT source.column_name, ', ' ORDER BY source.column_name) AS columns_read,
    any_value(agreed.name_en) AS name_en,
    any_value(agreed.name_ru) AS name_ru,
    any_value(agreed.name_kk) AS name_kk,
    any_value(agreed.owner) AS owner,
    any_value(delivered.systems) AS systems,
    any_value(delivered.deliveries) AS deliveries
FROM registry.kpi_source AS source
INNER JOIN (
    SELECT
        kpi_code,
        max(definition_version) AS definition_version
    FROM registry.kpi
    GROUP BY kpi_code
) AS newest USING (kpi_code, definition_version)
LEFT JOIN registry.showcase_table AS agreed USING (table_name)
LEFT JOIN (
    SELECT
        table_name,
        string_agg(DISTINCT system, ', ' ORDER BY system) AS systems,
        count(*) AS deliveries
    FROM deliveries
    WHERE state = 'loaded'
    GROUP BY table_name
) AS delivered USING (table_name)
GROUP BY source.kpi_code, source.table_name
ORDER BY source.kpi_code, source.table_name
