-- one row per month of deliveries of which rows came or ceased to hold after a ledger sequence
SELECT DISTINCT strftime(delivery.period_start, '%Y-%m') AS month
FROM (
    SELECT delivery_id FROM showcase.${table} WHERE valid_from_seq > ${seq}
    UNION ALL
    SELECT delivery_id FROM history.${table} WHERE valid_to_seq > ${seq}
) AS changed
JOIN audit.delivery AS delivery USING (delivery_id)
ORDER BY month
