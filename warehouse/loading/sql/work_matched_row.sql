-- one row per row of the turn and current row with the same key; `newer`: the row of the turn is at least as new.
-- By keys alone: in most months nothing is matched, and the table's other columns need not be read
CREATE OR REPLACE TEMP TABLE work_matched_row AS
SELECT
    present.rowid AS current_row,
    present.delivery_id AS old_delivery_id,
    incoming.delivery_id,
    incoming.row_no,
    decided.seq,
    (delivery.period_end, delivery.order_seq) <= (decided.period_end, decided.order_seq) AS newer
FROM ${staged} AS incoming
JOIN work_decided_delivery AS decided
    ON decided.delivery_id = incoming.delivery_id AND decided.turn = ${turn} AND incoming.broken IS NULL
JOIN showcase.${table} AS present ON ${same_key}
JOIN audit.delivery AS delivery ON delivery.delivery_id = present.delivery_id AND ${own_system}
