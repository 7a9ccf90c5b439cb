-- one row per current value over rows of deliveries whose bytes are gone: it is still computed from the warehouse
WITH lost AS (
    SELECT delivery_id
    FROM audit.delivery
    WHERE sha256 IN (${sha256s})
),

places AS (
    SELECT DISTINCT
        table_name,
        kato
    FROM row_origins
    SEMI JOIN lost USING (delivery_id)
)

SELECT DISTINCT
    cell.kpi_code,
    cell.kato,
    cell.period_id,
    'the archive has lost bytes of ' || places.table_name AS gap
FROM kpi.value AS cell
JOIN registry.kpi_source AS source
    ON (source.kpi_code, source.definition_version) = (cell.kpi_code, cell.definition_version)
JOIN places ON (places.table_name, places.kato) = (source.table_name, cell.kato)
WHERE cell.valid_to_seq IS NULL AND cell.value IS NOT NULL
