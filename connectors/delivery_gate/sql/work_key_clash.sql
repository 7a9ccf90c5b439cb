-- One row per accepted row whose key is in the warehouse under another time, with the row and the delivery it has
-- there.
CREATE OR REPLACE TEMP TABLE work_key_clash AS
SELECT
    read_row.stage_table,
    read_row.stage_rowid,
    read_row.delivery_id,
    current_row.delivery_id AS old_delivery_id,
    current_row.rowid AS old_rowid
FROM work_read_row AS read_row
INNER JOIN ${showcase_table} AS current_row ON ${same_key} AND current_row.${time} IS DISTINCT FROM read_row.${time}
WHERE read_row.broken IS NULL
