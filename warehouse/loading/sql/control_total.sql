-- one row per settlement and month of a system's rows in force: how many, and of columns their sum and number
SELECT
    held.kato,
    ${month} AS in_month,
    count(*) AS row_count${sums}
FROM ${rows} AS held
JOIN audit.delivery AS delivery USING (delivery_id)
WHERE delivery.system = ${system} AND held.kato IN (${settlements})
GROUP BY ALL
HAVING in_month BETWEEN ${first} AND ${last}
