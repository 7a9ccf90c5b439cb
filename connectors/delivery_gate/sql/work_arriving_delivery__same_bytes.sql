-- One row per delivery whose bytes came for another territory before: the delivery, and for which one (the first
-- by name). KZ, and a region that holds the other territory, may have the same bytes.
SELECT
    arriving.delivery_id,
    min(earlier.scope) AS delivered_for,
    arg_min(earlier.delivery_id, (earlier.scope, earlier.delivery_id)) AS first_delivery
FROM work_arriving_delivery AS arriving
INNER JOIN audit.delivery AS earlier
    ON
        earlier.table_name = ${table_name}
        AND arriving.sha256 = earlier.sha256
        AND earlier.delivery_id < arriving.delivery_id
        AND earlier.state IN ('loaded', 'received')
        AND earlier.scope <> 'KZ'
        AND arriving.scope <> 'KZ'
        AND earlier.scope <> arriving.scope
        AND (earlier.scope[:2] <> arriving.scope[:2] OR length(earlier.scope) = length(arriving.scope))
GROUP BY arriving.delivery_id
