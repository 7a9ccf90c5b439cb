-- One row per KPI and table that its newest definition reads, with the columns and the systems that delivered it.
SELECT
    source.code,
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
        code,
        max(version) AS version
    FROM registry.kpi
    GROUP BY code
) AS newest
    ON source.code = newest.code AND source.version = newest.version
LEFT JOIN registry.showcase_table AS agreed ON source.table_name = agreed.table_name
LEFT JOIN (
    SELECT
        table_name,
        string_agg(DISTINCT system, ', ' ORDER BY system) AS systems,
        count(*) AS deliveries
    FROM deliveries
    WHERE state = 'loaded'
    GROUP BY table_name
) AS delivered
    ON source.table_name = delivered.table_name
GROUP BY source.code, source.table_name
ORDER BY source.code, source.table_name
