-- one row per loaded delivery with rejected rows; `replaced_seq`: the ledger sequence at which its slice came again
CREATE OR REPLACE TEMP TABLE work_upgrade_lossy_delivery AS
SELECT
    delivery.table_name,
    delivery.scope,
    delivery.period_start,
    delivery.period_end,
    delivery.rejected_rows,
    delivery.loaded_seq,
    (
        SELECT min(later.loaded_seq)
        FROM audit.delivery AS later
        WHERE
            later.state = 'loaded'
            AND later.loaded_seq > delivery.loaded_seq
            AND (later.table_name, later.system, later.scope, later.period_id)
            = (delivery.table_name, delivery.system, delivery.scope, delivery.period_id)
    ) AS replaced_seq
FROM audit.delivery AS delivery
WHERE delivery.state = 'loaded' AND delivery.rejected_rows > 0
