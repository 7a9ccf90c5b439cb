-- records that source contracts leave out, by table and system
SELECT
    delivery.table_name,
    delivery.system,
    sum(found.failing_rows)::BIGINT AS records
FROM audit.check_result AS found
INNER JOIN audit.delivery AS delivery ON found.delivery_id = delivery.delivery_id
WHERE starts_with(found.rule, ${left_out})
GROUP BY ALL
ORDER BY ALL
