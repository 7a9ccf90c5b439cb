-- One row per delivery with rows in a value, or that came by the last sequence and should have had some.
SELECT
    delivery_id,
    receipt_id,
    table_name,
    system,
    scope,
    period_id,
    state,
    reason,
    file_name,
    sha256,
    bytes,
    received_at,
    contract_id,
    contract_version,
    received_rows,
    accepted_rows,
    rejected_rows,
    loaded_seq,
    loaded_at
FROM audit.delivery
WHERE
    delivery_id IN (${delivery_ids})
    OR (
        table_name IN (${tables})
        AND (scope = ${kato} OR scope = 'KZ' OR (length(scope) = 2 AND starts_with(${kato}, scope)))
        AND period_start < ${period_end}
        AND period_end > ${period_start}
        AND state NOT IN ('duplicate', 'withdrawn')
        AND coalesce(loaded_seq, registered_seq) <= ${last_seq}
    )
ORDER BY delivery_id
