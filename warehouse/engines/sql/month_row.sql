-- rows of a table that deliveries of some months brought; valid_to_seq is NULL while a row holds
SELECT
    ${columns},
    strftime(delivery.period_start, '%Y-%m') AS delivery_month
FROM (
    SELECT
        *,
        cast(NULL AS BIGINT) AS valid_to_seq
    FROM showcase.${table}
    UNION ALL BY NAME
    SELECT * FROM history.${table}
) AS version
JOIN audit.delivery AS delivery USING (delivery_id)
WHERE strftime(delivery.period_start, '%Y-%m') IN (${months})
