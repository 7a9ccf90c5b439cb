-- rows of the turn that hold from now on; those sent again unchanged are there already
INSERT INTO showcase.${table} BY NAME
SELECT
    ${columns},
    decided.seq AS valid_from_seq
FROM ${staged} AS incoming
JOIN work_decided_delivery AS decided
    ON decided.delivery_id = incoming.delivery_id AND decided.turn = ${turn} AND incoming.broken IS NULL
ANTI JOIN (
    SELECT
        delivery_id,
        row_no
    FROM work_resent_row
    UNION ALL
    SELECT
        delivery_id,
        row_no
    FROM work_superseded_row
) AS left_out ON (left_out.delivery_id, left_out.row_no) = (incoming.delivery_id, incoming.row_no)
