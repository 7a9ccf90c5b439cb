-- Refused deliveries, newest first; `mended`: another delivery of the same slice was loaded later
SELECT
    refusal.*,
    exists(
        SELECT 1
        FROM audit.delivery AS later
        WHERE
            later.state = 'loaded'
            AND later.delivery_id > refusal.delivery_id
            AND (later.table_name, later.system, later.scope, later.period_id)
            = (refusal.table_name, refusal.system, refusal.scope, refusal.period_id)
    ) AS mended
FROM refusals AS refusal
ORDER BY refusal.delivery_id DESC
LIMIT ${most}
