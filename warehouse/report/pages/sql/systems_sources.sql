-- Tables by the KPIs that read them and the systems that deliver them
SELECT
    dataset.table_name,
    (
        SELECT list(DISTINCT source.code ORDER BY source.code)
        FROM registry.kpi_source AS source
        WHERE source.table_name = dataset.table_name
    ) AS kpis,
    (
        SELECT list(DISTINCT delivery.system ORDER BY delivery.system)
        FROM deliveries AS delivery
        WHERE delivery.table_name = dataset.table_name
    ) AS systems,
    (
        SELECT count(DISTINCT delivery.scope)
        FROM deliveries AS delivery
        WHERE delivery.table_name = dataset.table_name AND delivery.state = 'loaded'
    ) AS scopes,
    (
        SELECT max(delivery.period_end)
        FROM deliveries AS delivery
        WHERE delivery.table_name = dataset.table_name AND delivery.state = 'loaded'
    ) AS delivered_until
FROM registry.dataset AS dataset
ORDER BY dataset.table_name
