-- one row per lost key that another delivery in force still asserts: its newest version, holding again from `since` on
CREATE OR REPLACE TEMP TABLE work_restored_row AS
WITH former AS (
    SELECT
        version.*,
        lost.seq AS since,
        delivery.period_end AS ending,
        delivery.order_seq,
        row_number() OVER () AS candidate,
        lost.system AS lost_by
    FROM history.${table} AS version
    JOIN work_lost_key AS lost ON ${same_key}
    JOIN audit.delivery AS delivery
        ON delivery.delivery_id = version.delivery_id AND delivery.state = 'loaded' AND ${own_system}
)

SELECT *
FROM former
ANTI JOIN (${revoked}) AS revoked ON revoked.candidate = former.candidate
QUALIFY row_number() OVER (
    PARTITION BY ${key}, lost_by
    ORDER BY ending DESC, order_seq DESC, valid_from_seq DESC
) = 1
