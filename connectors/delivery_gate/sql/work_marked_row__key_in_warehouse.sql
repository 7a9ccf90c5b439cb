-- One row per row that clashes with a row of the warehouse which its delivery does not take away.
CREATE OR REPLACE TEMP TABLE work_marked_row AS
SELECT
    clash.stage_table,
    clash.stage_rowid
FROM work_key_clash AS clash
INNER JOIN ${showcase_table} AS current_row ON clash.old_rowid = current_row.rowid
INNER JOIN audit.delivery AS earlier ON clash.old_delivery_id = earlier.delivery_id
INNER JOIN work_arriving_delivery AS arriving ON clash.delivery_id = arriving.delivery_id${of_one_system}
WHERE NOT (${taken_away})
