-- Deliveries of the rows that the values of a definition count, as of the sequence that each was computed at.
INSERT INTO work_cell_delivery
SELECT
    cell.kpi_code,
    cell.kato,
    cell.period_id,
    scanned.delivery_id,
    sum(scanned.${rows_used}) AS rows_used
FROM ${scanned} AS scanned
INNER JOIN work_trail_cell AS cell USING (kato, period_id)
WHERE
    cell.kpi_code = ${code}
    AND cell.version = ${version}
    AND scanned.valid_from_seq <= cell.as_of_seq
    AND (scanned.valid_to_seq IS NULL OR scanned.valid_to_seq > cell.as_of_seq)
GROUP BY ALL
HAVING sum(scanned.${rows_used}) > 0
