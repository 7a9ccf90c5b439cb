-- Refused deliveries and why
SELECT
    delivery_id,
    receipt_id,
    table_name,
    table_en,
    table_ru,
    table_kk,
    system,
    scope,
    scope_en,
    scope_ru,
    scope_kk,
    settlement_en,
    settlement_ru,
    settlement_kk,
    period_id,
    file_name,
    reason_code,
    reason_en,
    reason_ru,
    reason_kk
FROM deliveries
WHERE state = 'refused'
