-- One row per accepted row of the chosen deliveries that lies outside the days that its delivery declares.
CREATE OR REPLACE TEMP TABLE work_marked_row AS
SELECT
    read_row.stage_table,
    read_row.stage_rowid
FROM work_read_row AS read_row
INNER JOIN work_arriving_delivery AS arriving ON read_row.delivery_id = arriving.delivery_id
WHERE
    read_row.broken IS NULL
    AND read_row.delivery_id IN (${deliveries})
    AND NOT (
        CASE
            WHEN arriving.kind = 'as_of' THEN ${day} >= arriving.period_start AND ${day} <= arriving.period_end
            ELSE
                ${day} < arriving.period_end
                AND (arriving.earlier_rows OR arriving.kind = 'changes' OR ${day} >= arriving.period_start)
        END
    )
