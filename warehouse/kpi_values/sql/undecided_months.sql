-- (month, table) of deliveries that were registered and not decided on
SELECT DISTINCT
    period_month.period_id,
    delivery.table_name
FROM audit.delivery AS delivery
JOIN registry.period AS period_month
    ON
        period_month.grain = 'M'
        AND period_month.period_start >= delivery.period_start
        AND period_month.period_end <= delivery.period_end
WHERE delivery.state = 'received' AND delivery.period_end <= ${first}
ORDER BY ALL
