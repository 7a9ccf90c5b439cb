-- Refused deliveries, newest first; `mended`: another delivery of the same slice was loaded later
SELECT
    delivery.*,
    exists(
        SELECT 1
        FROM deliveries AS later
        WHERE
            later.state = 'loaded'
            AND later.delivery_id > delivery.delivery_id
            AND (later.table_name, later.system, later.scope, later.period_id)
            = (delivery.table_name, delivery.system, delivery.scope, delivery.period_id)
    ) AS mended
FROM deliveries AS delivery
WHERE delivery.state = 'refused'
ORDER BY delivery.delivery_id DESC
LIMIT ${most}
