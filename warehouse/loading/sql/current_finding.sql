-- one row per finding in the delivery in force of each slice that closes in the months: the last one decided on
SELECT
    ${delivery_columns},
    found.rule,
    found.severity,
    found.dimension,
    found.passed,
    found.observed,
    found.expected,
    found.failing_rows,
    ${fails} AS fails_criterion
FROM (
    SELECT *
    FROM audit.delivery
    WHERE table_name = ${table_name} AND state IN ('loaded', 'refused') AND closing_month IN (${months})
    QUALIFY row_number() OVER (PARTITION BY system, scope, period_id ORDER BY loaded_seq DESC) = 1
) AS delivery
JOIN audit.check_result AS found USING (delivery_id)
ORDER BY delivery_id, found.rule
