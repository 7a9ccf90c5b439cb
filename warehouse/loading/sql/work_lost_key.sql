-- one row per key of a leaving row of which nothing of the turn takes the place, with the system that delivered it
CREATE OR REPLACE TEMP TABLE work_lost_key AS
SELECT
    ${key},
    delivery.system,
    leaving.seq
FROM showcase.${table} AS present
JOIN work_leaving_row AS leaving ON present.rowid = leaving.current_row
JOIN audit.delivery AS delivery ON delivery.delivery_id = present.delivery_id
WHERE
    leaving.seq IN (SELECT seq FROM work_decided_delivery WHERE turn = ${turn})
    AND leaving.current_row NOT IN (
        SELECT current_row
        FROM work_matched_row
        WHERE (delivery_id, row_no) NOT IN (SELECT (delivery_id, row_no) FROM work_superseded_row)
    )
