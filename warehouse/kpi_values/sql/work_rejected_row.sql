-- one row per rejected row, or cell left empty, of a loaded delivery; rejected rows of a replaced delivery are
-- left out later
CREATE OR REPLACE TEMP TABLE work_rejected_row AS
SELECT
    delivery.table_name,
    delivery.scope,
    delivery.period_start,
    delivery.period_end,
    delivery.replaced,
    rejected.delivery_id,
    rejected.row_no,
    rejected.column_name,
    rejected.rule,
    rejected.kato,
    rejected.moments
FROM audit.rejected_row AS rejected
JOIN work_loaded_delivery AS delivery USING (delivery_id)
WHERE
    rejected.rule NOT IN (${elsewhere})
    AND (rejected.column_name IS NOT NULL OR NOT delivery.replaced)
