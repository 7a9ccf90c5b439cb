-- Tables by the KPIs that read them and the systems that deliver them
WITH delivered AS (
    SELECT
        table_name,
        list(DISTINCT system ORDER BY system) AS systems,
        count(DISTINCT scope) AS scopes,
        max(period_end) AS delivered_until
    FROM audit.delivery
    WHERE state = 'loaded'
    GROUP BY table_name
),

used AS (
    SELECT
        table_name,
        list(DISTINCT kpi_code ORDER BY kpi_code) AS kpis
    FROM registry.kpi_source
    GROUP BY table_name
)

SELECT
    dataset.table_name,
    dataset.name_en,
    dataset.name_ru,
    dataset.name_kk,
    dataset.owner,
    dataset.frequency,
    dataset.latency_days,
    coalesce(used.kpis, []) AS kpis,
    coalesce(delivered.systems, []) AS systems,
    coalesce(delivered.scopes, 0) AS scopes,
    delivered.delivered_until
FROM registry.showcase_table AS dataset
LEFT JOIN delivered USING (table_name)
LEFT JOIN used USING (table_name)
ORDER BY dataset.table_name
