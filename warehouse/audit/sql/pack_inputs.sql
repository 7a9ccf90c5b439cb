-- One row per delivery, below one for the definition: its fingerprint, its ledger row, whether the two agree.
CREATE OR REPLACE TEMP TABLE inputs AS
SELECT
    'delivery ' || delivery.delivery_id AS what,
    delivery.sha256 AS fingerprint,
    ledger.seq AS ledger_row,
    coalesce(CASE
        WHEN ledger.kind = 'received' AND json_valid(ledger.detail)
            THEN
                (
                    (ledger.detail ->> '$.sha256') = delivery.sha256
                    AND (ledger.detail ->> '$.table') = delivery.table_name
                )
    END, FALSE) AS in_ledger
FROM
    read_json('deliveries.json', columns = {
        delivery_id: 'BIGINT', receipt_id: 'VARCHAR', sha256: 'VARCHAR', table_name: 'VARCHAR', registered_seq: 'BIGINT'
    }) AS delivery
LEFT JOIN read_parquet('ledger.parquet') AS ledger
    ON delivery.registered_seq = ledger.seq AND delivery.receipt_id = ledger.subject
