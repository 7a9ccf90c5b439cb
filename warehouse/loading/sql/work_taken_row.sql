-- one row per current row and delivery of the turn that takes it away
INSERT INTO work_taken_row
SELECT
    present.rowid,
    taking.new_delivery_id,
    taking.seq
FROM showcase.${table} AS present
JOIN work_taking_delivery AS taking USING (delivery_id)
JOIN audit.delivery AS earlier ON earlier.delivery_id = taking.delivery_id
JOIN work_decided_delivery AS later ON later.delivery_id = taking.new_delivery_id
WHERE present.delivery_id IN (${earlier_deliveries}) AND ${takes}
