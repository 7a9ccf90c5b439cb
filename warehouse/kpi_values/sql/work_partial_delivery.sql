-- one row per delivery in force that lacks columns a KPI reads, and which
CREATE OR REPLACE TEMP TABLE work_partial_delivery AS
SELECT
    grouped.*,
    json_object(
        'code', 'reason.columns_not_delivered', 'system', grouped.system, 'columns', grouped.columns
    )::VARCHAR AS lacks
FROM (
    SELECT
        delivery_id,
        table_name,
        system,
        scope,
        period_start,
        period_end,
        list(table_name || '.' || column_name ORDER BY column_name) AS columns
    FROM (
        SELECT
            *,
            unnest(string_split(unmapped, ',')) AS column_name
        FROM work_loaded_delivery
        WHERE NOT replaced AND unmapped IS NOT NULL
    ) AS undelivered
    WHERE (table_name, column_name) IN (${columns})
    GROUP BY ALL
) AS grouped
