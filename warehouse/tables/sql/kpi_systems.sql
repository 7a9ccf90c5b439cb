-- Systems behind a KPI: for every settlement, table the KPI reads and system that delivered it, what was loaded
SELECT
    definition.kpi_code,
    definition.name_en AS kpi_name_en,
    definition.name_ru AS kpi_name_ru,
    definition.name_kk AS kpi_name_kk,
    settlement.kato,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru,
    settlement.name_kk AS settlement_kk,
    source.table_name,
    showcase_table.name_en AS table_en,
    showcase_table.name_ru AS table_ru,
    showcase_table.name_kk AS table_kk,
    showcase_table.owner,
    delivery.system,
    count(*) AS deliveries,
    sum(delivery.accepted_rows)::BIGINT AS accepted_rows,
    sum(delivery.rejected_rows)::BIGINT AS rejected_rows,
    min(delivery.period_start) AS period_start,
    max(delivery.period_end) AS period_end,
    max(delivery.loaded_at) AS loaded_at
FROM (
    SELECT *
    FROM registry.kpi
    QUALIFY row_number() OVER (PARTITION BY kpi_code ORDER BY definition_version DESC) = 1
) AS definition
JOIN (
    SELECT DISTINCT
        kpi_code,
        definition_version,
        table_name
    FROM registry.kpi_source
) AS source USING (kpi_code, definition_version)
JOIN audit.delivery AS delivery ON delivery.table_name = source.table_name AND delivery.state = 'loaded'
JOIN registry.settlement AS settlement
    ON delivery.scope IN (settlement.kato, settlement.kato2, 'KZ')
LEFT JOIN registry.showcase_table AS showcase_table ON showcase_table.table_name = source.table_name
GROUP BY ALL
