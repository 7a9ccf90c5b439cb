-- rows of the turn that do not hold, or not for long, go to history at once
INSERT INTO history.${table} BY NAME
SELECT
    ${columns},
    decided.seq AS valid_from_seq,
    superseded.until_seq AS valid_to_seq
FROM ${staged} AS incoming
JOIN work_decided_delivery AS decided
    ON decided.delivery_id = incoming.delivery_id AND decided.turn = ${turn} AND incoming.broken IS NULL
JOIN (
    SELECT
        delivery_id,
        row_no,
        min(until_seq) AS until_seq
    FROM work_superseded_row
    GROUP BY ALL
) AS superseded ON (superseded.delivery_id, superseded.row_no) = (incoming.delivery_id, incoming.row_no)
