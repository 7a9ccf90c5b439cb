-- one row per row that its slice sends again unchanged, before any other delivery of the turn brings the key:
-- the current row says the same and stays
INSERT INTO work_resent_row
SELECT
    matched.current_row,
    matched.delivery_id,
    matched.row_no
FROM work_matched_row AS matched
JOIN (
    SELECT
        current_row,
        min(seq) AS seq
    FROM work_matched_row
    GROUP BY current_row
) AS first_match USING (current_row, seq)
JOIN work_taking_delivery AS taking
    ON taking.resends AND (taking.delivery_id, taking.new_delivery_id) = (matched.old_delivery_id, matched.delivery_id)
JOIN (
    SELECT
        rowid AS current_row,
        *
    FROM showcase.${table}
    WHERE delivery_id IN (${earlier_deliveries})
) AS present ON present.current_row = matched.current_row
JOIN (
    SELECT incoming.*
    FROM ${staged} AS incoming
    JOIN work_decided_delivery AS decided
        ON decided.delivery_id = incoming.delivery_id AND decided.turn = ${turn} AND incoming.broken IS NULL
) AS incoming
    ON (incoming.delivery_id, incoming.row_no) = (matched.delivery_id, matched.row_no)
WHERE ${same_values}
