-- One row per delivery and rule that rows or cells of it break: how many rows are rejected, how many cells are
-- left empty.
SELECT
    delivery_id,
    rule,
    cast(sum(rows) AS BIGINT) AS rows,
    cast(sum(cells) AS BIGINT) AS cells
FROM (
    SELECT
        delivery_id,
        broken AS rule,
        count(*) AS rows,
        0 AS cells
    FROM work_staged_row
    WHERE broken IS NOT NULL
    GROUP BY ALL
    UNION ALL
    SELECT
        delivery_id,
        struct_extract(cell, 'rule') AS rule,
        0 AS rows,
        count(*) AS cells
    FROM (
        SELECT
            delivery_id,
            unnest(emptied) AS cell
        FROM work_staged_row
        WHERE broken IS NULL AND emptied IS NOT NULL
    ) AS emptied_cell
    GROUP BY ALL
) AS broken_rule
GROUP BY ALL
ORDER BY ALL
