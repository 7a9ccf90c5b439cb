-- one row per row of a table with a cell left empty in a column that the KPI reads, and the rules it broke
CREATE OR REPLACE TEMP TABLE work_row_with_gap AS
SELECT
    delivery_id,
    row_no,
    string_agg(DISTINCT rule, ', ' ORDER BY rule) AS gap_rules
FROM work_rejected_row
WHERE table_name = ${table_name} AND column_name IN (${columns})
GROUP BY ALL
