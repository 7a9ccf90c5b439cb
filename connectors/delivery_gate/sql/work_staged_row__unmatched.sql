-- One row per delivery: the percentage of a column's values that the other table does not have in rows of the same
-- settlement. Settlements that have no row there are left out.
SELECT
    staged_row.delivery_id,
    100.0 * count(*) FILTER (WHERE known.value IS NULL) / count(*) AS ${measure}
FROM work_staged_row AS staged_row
SEMI JOIN (SELECT DISTINCT kato FROM ${other_table}) AS settlement ON staged_row.kato = settlement.kato
LEFT JOIN (
    SELECT DISTINCT
        kato,
        ${target} AS value
    FROM ${other_table}
) AS known
    ON staged_row.kato = known.kato AND staged_row.${column} = known.value
WHERE staged_row.broken IS NULL AND staged_row.${column} IS NOT NULL
GROUP BY staged_row.delivery_id
