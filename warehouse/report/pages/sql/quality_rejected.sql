-- Rows that the row gate rejected, and cells it left empty, by table and rule: counts alone
SELECT
    delivery.table_name,
    dataset.name_en AS table_en,
    dataset.name_ru AS table_ru,
    dataset.name_kk AS table_kk,
    rejected.rule,
    criterion.name_en AS criterion_en,
    criterion.name_ru AS criterion_ru,
    criterion.name_kk AS criterion_kk,
    sum(rejected.whole_rows) AS rejected_rows,
    sum(rejected.cells) AS emptied_cells,
    count(*) AS deliveries
FROM (
    SELECT
        delivery_id,
        rule,
        count(*) FILTER (WHERE column_name IS NULL) AS whole_rows,
        count(column_name) AS cells
    FROM audit.rejected_row
    GROUP BY delivery_id, rule
) AS rejected
JOIN audit.delivery AS delivery USING (delivery_id)
LEFT JOIN registry.showcase_table AS dataset ON dataset.table_name = delivery.table_name
LEFT JOIN registry.rule AS rule ON (rule.table_name, rule.rule) = (delivery.table_name, rejected.rule)
LEFT JOIN registry.criterion AS criterion ON criterion.criterion = rule.criterion
GROUP BY ALL
ORDER BY sum(rejected.whole_rows) + sum(rejected.cells) DESC, delivery.table_name, rejected.rule
LIMIT ${most}
