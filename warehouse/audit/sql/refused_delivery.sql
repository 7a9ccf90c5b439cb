-- refused deliveries, the newest first; `stands`: nothing was taken in since in place of it, neither the same bytes nor a delivery whose days and
-- territory hold its own, and no later try for the same days and territory was refused in its turn
SELECT
    refused.delivery_id,
    refused.table_name,
    refused.system,
    refused.scope,
    refused.period_id,
    refused.file_name,
    refused.reason,
    refused.received_rows,
    refused.loaded_at AS refused_at,
    NOT (
        EXISTS (
            SELECT 1
            FROM audit.delivery AS taken
            WHERE
                taken.sha256 = refused.sha256
                AND taken.state IN ('loaded', 'duplicate')
                AND taken.loaded_seq > refused.loaded_seq
        )
        OR EXISTS (
            SELECT 1
            FROM audit.delivery AS later
            WHERE
                (later.table_name, later.system, later.scope, later.period_start, later.period_end)
                = (refused.table_name, refused.system, refused.scope, refused.period_start, refused.period_end)
                AND later.state IN ('loaded', 'duplicate', 'refused')
                AND later.loaded_seq > refused.loaded_seq
        )
        OR EXISTS (
            SELECT 1
            FROM audit.delivery AS wider
            WHERE
                (wider.table_name, wider.system) = (refused.table_name, refused.system)
                AND wider.state = 'loaded'
                AND wider.kind <> 'changes'
                AND wider.period_start <= refused.period_start
                AND wider.period_end >= refused.period_end
                AND (wider.scope IN (refused.scope, 'KZ') OR wider.scope = refused.scope[:2])
                AND wider.loaded_seq > refused.loaded_seq
        )
    ) AS stands
FROM audit.delivery AS refused
WHERE refused.state = 'refused' AND ${chosen}
ORDER BY refused.loaded_seq DESC
