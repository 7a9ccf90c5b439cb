-- one row per cell that was left empty in an accepted row of a decided delivery
INSERT INTO audit.rejected_row
SELECT
    delivery_id,
    row_no,
    cell.column_name,
    cell.rule,
    kato,
    moments,
    cell.raw
FROM (
    SELECT
        delivery_id,
        row_no,
        kato,
        ${dates} AS moments,
        unnest(emptied) AS cell
    FROM ${staged}
    JOIN work_decided_delivery USING (delivery_id)
    WHERE broken IS NULL AND emptied IS NOT NULL
) AS emptied_cell
ORDER BY ALL
