-- one row per delivery that is not what its ledger entries say, with what differs
SELECT
    delivery.delivery_id,
    delivery.file_name,
    CASE
        WHEN registration.seq IS NULL THEN 'its registration is not in the ledger'
        WHEN
            (
                try(registration.detail ->> '$.sha256'),
                try(registration.detail ->> '$.table'),
                try(registration.detail ->> '$.system'),
                try(registration.detail ->> '$.scope'),
                try(registration.detail ->> '$.period'),
                try(registration.detail ->> '$.file'),
                try(registration.detail ->> '$.bytes')
            )
            <> (
                delivery.sha256,
                delivery.table_name,
                delivery.system,
                delivery.scope,
                delivery.period_id,
                delivery.file_name,
                delivery.bytes::VARCHAR
            )
            THEN 'what was received is recorded otherwise'
        WHEN
            delivery.state <> 'received'
            AND (
                decision.seq IS NULL
                OR (
                    try(decision.detail ->> '$.delivery_id'),
                    try(decision.detail ->> '$.received'),
                    try(decision.detail ->> '$.accepted'),
                    try(decision.detail ->> '$.rejected')
                )
                <> (
                    delivery.delivery_id::VARCHAR,
                    delivery.received_rows::VARCHAR,
                    delivery.accepted_rows::VARCHAR,
                    delivery.rejected_rows::VARCHAR
                )
            )
            THEN 'the decision on it is recorded otherwise'
        WHEN delivery.state = 'loaded' AND coalesce(kept.rows, 0) <> delivery.rejected_rows
            THEN 'of ' || delivery.rejected_rows || ' rejected rows ' || coalesce(kept.rows, 0) || ' are there'
        WHEN
            delivery.state = 'loaded'
            AND delivery.accepted_rows + delivery.rejected_rows + coalesce(left_out.rows, 0) <> delivery.received_rows
            THEN
                'of ' || delivery.received_rows || ' rows ' || delivery.accepted_rows || ' are accepted, '
                || delivery.rejected_rows || ' rejected and ' || coalesce(left_out.rows, 0) || ' left out'
    END AS why
FROM audit.delivery AS delivery
LEFT JOIN audit.ledger AS registration
    ON
        registration.seq = delivery.registered_seq
        AND registration.kind = 'received'
        AND registration.subject = delivery.receipt_id
LEFT JOIN audit.ledger AS decision
    ON
        decision.seq = delivery.loaded_seq
        AND decision.kind = delivery.state
        AND decision.subject = delivery.receipt_id
LEFT JOIN (
    SELECT
        delivery_id,
        count(*) AS rows
    FROM audit.rejected_row
    WHERE column_name IS NULL
    GROUP BY delivery_id
) AS kept USING (delivery_id)
LEFT JOIN (
    SELECT
        delivery_id,
        cast(sum(failing_rows) AS BIGINT) AS rows
    FROM audit.check_result
    WHERE starts_with(rule, 'left-out.')
    GROUP BY delivery_id
) AS left_out USING (delivery_id)
WHERE why IS NOT NULL
ORDER BY delivery.delivery_id
