-- rows that are read again of a delivery and were taken away by one that came after it in order
INSERT INTO work_superseded_row
SELECT
    incoming.delivery_id,
    incoming.row_no,
    decided.seq
FROM ${staged} AS incoming
JOIN work_decided_delivery AS decided
    ON decided.delivery_id = incoming.delivery_id AND decided.turn = ${turn} AND incoming.broken IS NULL
JOIN audit.delivery AS later
    ON
        later.table_name = ${table_name}
        AND later.state = 'loaded'
        AND later.loaded_seq < decided.seq
        AND later.order_seq > decided.order_seq
        AND ${overlap}
WHERE decided.order_seq < decided.seq AND ${takes}
