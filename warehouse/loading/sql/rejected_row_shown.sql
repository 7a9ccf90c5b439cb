-- the first rows of each month and rule, with what stood there
SELECT
    delivery.closing_month,
    delivery.delivery_id,
    delivery.file_name,
    rejected.row_no,
    rejected.rule,
    ${shown_value} AS value
FROM audit.rejected_row AS rejected
JOIN audit.delivery USING (delivery_id)
WHERE ${chosen}
QUALIFY
    row_number() OVER (
        PARTITION BY delivery.closing_month, rejected.rule ORDER BY delivery.delivery_id, rejected.row_no
    ) <= ${most}
ORDER BY delivery.closing_month, delivery.delivery_id, rejected.row_no, rejected.rule
