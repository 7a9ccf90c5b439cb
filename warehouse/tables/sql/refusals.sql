-- Refused deliveries and why
SELECT
    delivery_id,
    receipt_id,
    table_name,
    scope,
    settlement_en,
    period_id,
    file_name,
    reason
FROM deliveries
WHERE state = 'refused'
