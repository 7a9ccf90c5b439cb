-- One row per delivery of a table that one step decided on.
SELECT
    delivery.sha256,
    delivery.delivery_id,
    delivery.receipt_id,
    delivery.system,
    delivery.scope,
    delivery.period_id,
    delivery.file_name,
    delivery.bytes,
    delivery.received_at,
    delivery.state,
    delivery.reason,
    delivery.contract_id || ' ' || delivery.contract_version AS contract,
    delivery.received_rows,
    delivery.accepted_rows,
    delivery.rejected_rows,
    delivery.loaded_seq
FROM audit.delivery AS delivery
INNER JOIN audit.ledger AS ledger ON delivery.loaded_seq = ledger.seq
WHERE
    delivery.table_name = ${showcase_table}
    AND delivery.loaded_seq BETWEEN ${first_seq} AND ${last_seq}
    AND ledger.run_id IS NOT DISTINCT FROM ${run}
ORDER BY delivery.sha256, delivery.delivery_id
