-- One row per row that clashes with a row of an earlier delivery of the batch, which its delivery does not take
-- away.
CREATE OR REPLACE TEMP TABLE work_marked_row AS
WITH repeated AS (
    SELECT *
    FROM work_read_row
    WHERE
        broken IS NULL
        AND (delivery_id, row_no) IN (SELECT (delivery_id, row_no) FROM work_repeated_key)
)

SELECT DISTINCT
    later_row.stage_table,
    later_row.stage_rowid
FROM repeated AS later_row
INNER JOIN repeated AS earlier_row
    ON
        ${same_key}
        AND earlier_row.delivery_id < later_row.delivery_id
        AND earlier_row.${time} IS DISTINCT FROM later_row.${time}
INNER JOIN work_arriving_delivery AS arriving ON later_row.delivery_id = arriving.delivery_id
INNER JOIN work_arriving_delivery AS earlier ON earlier_row.delivery_id = earlier.delivery_id${of_one_system}
WHERE NOT (${taken_away})
