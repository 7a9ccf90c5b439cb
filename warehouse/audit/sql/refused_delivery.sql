-- refused deliveries, the newest first; `stands`: nothing was taken in since in place of it, neither the same bytes nor
-- a delivery whose days and territory hold its own, and no later try for the same days and territory was refused
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
    NOT EXISTS (
        SELECT 1
        FROM audit.delivery AS later
        WHERE
            later.loaded_seq > refused.loaded_seq
            AND later.sha256 = refused.sha256
            AND later.state IN ('loaded', 'duplicate')
    )
    AND NOT EXISTS (
        SELECT 1
        FROM audit.delivery AS later
        WHERE
            later.loaded_seq > refused.loaded_seq
            AND (later.table_name, later.system, later.scope, later.period_start, later.period_end)
            = (refused.table_name, refused.system, refused.scope, refused.period_start, refused.period_end)
            AND later.state IN ('loaded', 'duplicate', 'refused')
    )
    AND NOT EXISTS (
        SELECT 1
        FROM audit.delivery AS later
        WHERE
            later.loaded_seq > refused.loaded_seq
            AND (later.table_name, later.system) = (refused.table_name, refused.system)
            AND later.state = 'loaded'
            AND later.kind <> 'changes'
            AND later.period_start <= refused.period_start
            AND later.period_end >= refused.period_end
            AND (later.scope IN (refused.scope, 'KZ') OR later.scope = refused.scope[:2])
    ) AS stands
FROM audit.delivery AS refused
WHERE refused.state = 'refused' AND ${chosen}
ORDER BY refused.loaded_seq DESC
