-- One row per row that broke a rule, and per cell left empty, of what is staged; columns as in audit.rejected_row.
SELECT
    delivery_id,
    row_no,
    CAST(NULL AS VARCHAR) AS column_name,
    broken AS rule,
    raw
FROM work_staged_row
WHERE broken IS NOT NULL
UNION ALL
SELECT
    delivery_id,
    row_no,
    cell.column_name,
    cell.rule,
    cell.raw
FROM (
    SELECT
        delivery_id,
        row_no,
        UNNEST(emptied) AS cell
    FROM work_staged_row
    WHERE broken IS NULL AND emptied IS NOT NULL
) AS emptied_cell
