-- rows whose key another delivery of the turn brings too: the one whose period ends later holds, then the later one
INSERT INTO work_superseded_row
SELECT
    delivery_id,
    row_no,
    greatest(seq, first_newer) AS until_seq
FROM (
    SELECT
        incoming.delivery_id,
        incoming.row_no,
        decided.seq,
        min(decided.seq) OVER (
            PARTITION BY ${key}
            ORDER BY decided.period_end DESC, decided.order_seq DESC, decided.seq DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS first_newer
    FROM ${repeated} AS incoming
    JOIN work_decided_delivery AS decided ON decided.delivery_id = incoming.delivery_id AND decided.turn = ${turn}
    WHERE (incoming.delivery_id, incoming.row_no) NOT IN (SELECT (delivery_id, row_no) FROM work_resent_row)
) AS same_turn
WHERE first_newer IS NOT NULL
