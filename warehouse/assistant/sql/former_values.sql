-- Values that a cell had before, with how sensitive the KPI was by their definition.
SELECT
    cell.*,
    definition.sensitivity
FROM kpi.value AS cell
JOIN registry.kpi AS definition USING (kpi_code, definition_version)
WHERE
    cell.kpi_code = ${kpi_code}
    AND cell.kato = ${kato}
    AND cell.period_id = ${period_id}
    AND cell.valid_to_seq IS NOT NULL
