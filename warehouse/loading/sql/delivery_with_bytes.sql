-- one row per loaded delivery of these bytes after which none was loaded that can take rows of it; as they were loaded
SELECT
    delivery.delivery_id,
    delivery.sha256,
    delivery.system,
    delivery.scope,
    delivery.period_id,
    delivery.contract_id,
    delivery.contract_version
FROM audit.delivery AS delivery
WHERE
    delivery.state = 'loaded'
    AND delivery.table_name = ${table_name}
    AND delivery.sha256 IN (${sha256s})
    AND NOT EXISTS (
        SELECT 1
        FROM audit.delivery AS later
        WHERE
            later.table_name = delivery.table_name
            AND later.state = 'loaded'
            AND later.loaded_seq > delivery.loaded_seq
            AND ${overlap}
    )
ORDER BY delivery.loaded_seq
