-- Cells that had another value before, as they are now, the newest restatement first.
SELECT
    cell.*,
    definition.sensitivity,
    definition.definition,
    former.restated_at
FROM (
    SELECT
        kpi_code,
        kato,
        period_id,
        max(valid_to_seq) AS restated_at
    FROM kpi.value
    WHERE valid_to_seq IS NOT NULL
    GROUP BY ALL
) AS former
JOIN kpi.value AS cell USING (kpi_code, kato, period_id)
JOIN registry.kpi AS definition USING (kpi_code, definition_version)
WHERE
    cell.valid_to_seq IS NULL
    AND (${kpi_code} IS NULL OR kpi_code = ${kpi_code})
    AND (${kato} IS NULL OR kato = ${kato})
    AND (${period_id} IS NULL OR period_id = ${period_id})
ORDER BY former.restated_at DESC, kpi_code, kato, period_id
