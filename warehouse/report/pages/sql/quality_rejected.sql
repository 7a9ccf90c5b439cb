-- Rows that the row gate rejected, and cells it left empty, by table and rule: counts alone
SELECT
    rejected.table_name,
    rejected.rule,
    rule.criterion,
    count(*) FILTER (WHERE rejected.column_name IS NULL) AS rejected_rows,
    count(rejected.column_name) AS emptied_cells,
    count(DISTINCT rejected.delivery_id) AS deliveries
FROM (
    SELECT
        found.delivery_id,
        found.rule,
        found.column_name,
        delivery.table_name
    FROM audit.rejected_row AS found
    JOIN audit.delivery AS delivery USING (delivery_id)
) AS rejected
LEFT JOIN registry.rule AS rule ON (rule.table_name, rule.rule) = (rejected.table_name, rejected.rule)
GROUP BY ALL
ORDER BY rejected_rows + emptied_cells DESC, rejected.table_name, rejected.rule
LIMIT ${most}
