-- how many rows a table has of the deliveries that close in a month
SELECT
    delivery.closing_month,
    sum(counted.held)::BIGINT AS held
FROM (
    SELECT
        delivery_id,
        count(*) AS held
    FROM showcase.${table_name}
    WHERE
        delivery_id IN (
            SELECT delivery.delivery_id
            FROM audit.delivery
            WHERE delivery.table_name = '${table_name}' AND delivery.closing_month IN (${months})
        )
    GROUP BY ALL
) AS counted
JOIN audit.delivery AS delivery USING (delivery_id)
GROUP BY ALL
