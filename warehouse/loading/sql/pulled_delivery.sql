-- a delivery that was read again stands for the first reading: what became of it last
WITH outcome AS (
    SELECT
        split_part(receipt_id, '+', 1) AS receipt_id,
        arg_max(state, delivery_id) AS state,
        arg_max(coalesce(contract_version, ''), delivery_id) AS contract_version,
        arg_max(coalesce(reason, ''), delivery_id) AS reason,
        arg_max(coalesce(received_rows, -1), delivery_id) AS received_rows
    FROM audit.delivery
    GROUP BY split_part(receipt_id, '+', 1)
)

SELECT
    entry.subject AS receipt_id,
    json_extract_string(entry.detail, '$.pulled.source') AS source,
    json_extract_string(entry.detail, '$.table') AS table_name,
    json_extract_string(entry.detail, '$.system') AS system,
    json_extract_string(entry.detail, '$.scope') AS scope,
    json_extract_string(entry.detail, '$.period') AS period_id,
    json_extract_string(entry.detail, '$.sha256') AS sha256,
    json_extract_string(entry.detail, '$.pulled.when') AS pulled_at,
    json_extract_string(entry.detail, '$.pulled.since') AS since,
    json_extract_string(entry.detail, '$.pulled.until') AS until,
    coalesce(outcome.state, 'withdrawn') AS state,
    nullif(outcome.contract_version, '') AS contract_version,
    nullif(outcome.reason, '') AS reason,
    nullif(outcome.received_rows, -1) AS received_rows
FROM audit.ledger AS entry
LEFT JOIN outcome ON entry.subject = outcome.receipt_id
WHERE
    entry.kind IN ('received', 'withdrawn')
    AND json_extract_string(entry.detail, '$.pulled.source') IS NOT NULL
    AND (entry.kind = 'received' OR outcome.receipt_id IS NULL)
ORDER BY entry.subject
