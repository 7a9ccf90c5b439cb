-- one row per row of a decided delivery that breaks a rule
INSERT INTO audit.rejected_row
SELECT
    delivery_id,
    row_no,
    NULL AS column_name,
    broken AS rule,
    kato,
    ${dates} AS moments,
    raw
FROM ${staged}
JOIN work_decided_delivery USING (delivery_id)
WHERE broken IS NOT NULL
ORDER BY ALL
