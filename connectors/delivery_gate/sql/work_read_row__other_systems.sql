-- One row per delivery and system that has rows with the same key and time: how many, and the first keys by name.
WITH other_row AS (
    SELECT
        ${compared},
        delivery_id
    FROM ${showcase_table}
    UNION ALL
    SELECT
        ${compared},
        delivery_id
    FROM work_read_row
    WHERE
        broken IS NULL
        AND (delivery_id, row_no) IN (SELECT (delivery_id, row_no) FROM work_repeated_key)
)

SELECT
    read_row.delivery_id,
    other.system,
    count(*) AS rows,
    list(DISTINCT ${named} ORDER BY ${named})[:${shown}] AS names
FROM work_read_row AS read_row
INNER JOIN work_arriving_delivery AS arriving ON read_row.delivery_id = arriving.delivery_id
INNER JOIN other_row ON ${same_key}
INNER JOIN audit.delivery AS other
    ON
        other_row.delivery_id = other.delivery_id
        AND arriving.system <> other.system
        AND read_row.delivery_id > other.delivery_id
WHERE read_row.broken IS NULL
GROUP BY ALL
ORDER BY ALL
