-- Codes of accepted rows that are none of the given ones: how many rows have each, and the first of these
SELECT
    staged_row.delivery_id,
    staged_row.${code},
    count(*) AS row_count,
    list_sort(min(staged_row.row_no, ${shown})) AS first_rows
FROM work_staged_row AS staged_row
WHERE
    staged_row.broken IS NULL
    AND staged_row.${code} IS NOT NULL
    AND staged_row.${code} NOT IN (${known})
GROUP BY staged_row.delivery_id, staged_row.${code}
ORDER BY staged_row.delivery_id, min(staged_row.row_no)
