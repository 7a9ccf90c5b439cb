-- Published values whose way back to archived bytes is broken: none, or something was tampered with
WITH entered AS (
    SELECT
        delivery.delivery_id,
        delivery.sha256
    FROM audit.delivery AS delivery
    JOIN audit.ledger AS registration
        ON
            registration.seq = delivery.registered_seq
            AND registration.kind = 'received'
            AND registration.subject = delivery.receipt_id
            AND try(registration.detail ->> '$.sha256') = delivery.sha256
    JOIN audit.ledger AS decision
        ON
            decision.seq = delivery.loaded_seq
            AND decision.kind = 'loaded'
            AND decision.subject = delivery.receipt_id
    WHERE delivery.state = 'loaded' AND regexp_full_match(delivery.sha256, '[0-9a-f]{64}')
),

strays AS (
    SELECT delivery_id
    FROM (SELECT DISTINCT delivery_id FROM row_origins) AS origin
    ANTI JOIN entered USING (delivery_id)
),

orphans AS (
    SELECT DISTINCT
        origin.table_name,
        origin.kato
    FROM row_origins AS origin
    SEMI JOIN strays ON origin.delivery_id IS NOT DISTINCT FROM strays.delivery_id
),

published AS (
    SELECT *
    FROM kpi.value
    WHERE valid_to_seq IS NULL AND value IS NOT NULL
)

SELECT
    cell.kpi_code,
    cell.kato,
    cell.period_id,
    'no definition of this fingerprint was entered in the ledger' AS gap
FROM published AS cell
ANTI JOIN (
    SELECT definition.*
    FROM registry.kpi AS definition
    JOIN audit.ledger AS entry
        ON
            entry.seq = definition.registered_seq
            AND entry.kind = 'definition'
            AND entry.subject = definition.kpi_code || '@' || definition.definition_version
            AND try(entry.detail ->> '$.hash') = definition.definition_hash
) AS known
    ON
        (known.kpi_code, known.definition_version, known.definition_hash)
        = (cell.kpi_code, cell.definition_version, cell.definition_hash)
UNION ALL
SELECT
    cell.kpi_code,
    cell.kato,
    cell.period_id,
    'its computation was not entered in the ledger' AS gap
FROM published AS cell
ANTI JOIN audit.ledger AS entry
    ON entry.seq = cell.valid_from_seq AND entry.kind = 'computed' AND entry.subject = cell.kpi_code
UNION ALL
SELECT DISTINCT
    cell.kpi_code,
    cell.kato,
    cell.period_id,
    'rows of ' || orphans.table_name || ' come from no delivery that was entered as loaded' AS gap
FROM published AS cell
JOIN registry.kpi_source AS source
    ON (source.kpi_code, source.definition_version) = (cell.kpi_code, cell.definition_version)
JOIN orphans ON (orphans.table_name, orphans.kato) = (source.table_name, cell.kato)
UNION ALL
SELECT
    cell.kpi_code,
    cell.kato,
    cell.period_id,
    'no delivery of its tables was loaded for the settlement' AS gap
FROM published AS cell
WHERE NOT EXISTS (
    SELECT 1
    FROM registry.kpi_source AS source
    JOIN audit.delivery AS delivery ON delivery.table_name = source.table_name AND delivery.state = 'loaded'
    WHERE
        (source.kpi_code, source.definition_version) = (cell.kpi_code, cell.definition_version)
        AND (delivery.scope = cell.kato OR delivery.scope = 'KZ' OR delivery.scope = cell.kato[:2])
)
