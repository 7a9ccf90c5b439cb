-- one row per row of the turn that would take the place of a current one, and former version of its key from a newer
-- delivery in force, which lies in history as the current row was newer still.
-- `candidate`: its number; `since`: the ledger sequence by which a delivery may have taken it
CREATE OR REPLACE TEMP TABLE work_rival_row AS
SELECT
    row_number() OVER () AS candidate,
    former.*,
    matched.delivery_id AS new_delivery_id,
    matched.row_no AS new_row_no,
    matched.seq AS since
FROM work_matched_row AS matched
JOIN work_taken_row AS taken ON taken.current_row = matched.current_row AND taken.new_delivery_id = matched.delivery_id
JOIN work_decided_delivery AS decided ON decided.delivery_id = matched.delivery_id AND decided.turn = ${turn}
JOIN (
    SELECT
        rowid AS current_row,
        ${key}
    FROM showcase.${table}
) AS present ON present.current_row = matched.current_row
JOIN history.${table} AS former ON ${same_key}
JOIN audit.delivery AS delivery
    ON
        delivery.delivery_id = former.delivery_id
        AND delivery.state = 'loaded'
        AND ${own_system}
        AND (delivery.period_end, delivery.order_seq) > (decided.period_end, decided.order_seq)
WHERE (matched.delivery_id, matched.row_no) NOT IN (
    SELECT (delivery_id, row_no) FROM work_resent_row
    UNION ALL
    SELECT (delivery_id, row_no) FROM work_superseded_row
)
