-- one row per wanted row of a delivery: the numbers of all rows that share its key
WITH numbered AS (
    SELECT
        ${number} AS row_no,
        ${key}
    FROM ${stage}
    WHERE NOT ${left_out}
)

SELECT
    wanted.row_no,
    list(numbered.row_no ORDER BY numbered.row_no) AS records
FROM numbered AS wanted
JOIN numbered USING (${key})
WHERE wanted.row_no IN (${rows})
GROUP BY ALL
ORDER BY ALL
