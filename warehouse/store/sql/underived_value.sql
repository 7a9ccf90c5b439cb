-- one row per value that does not follow from its numerator and denominator; quantiles have none
SELECT
    kpi_code,
    kato,
    period_id,
    value
FROM (
    SELECT
        cell.*,
        definition.kind,
        (definition.definition ->> '$.scale')::BIGINT AS scale,
        cell.numerator::DOUBLE AS n,
        cell.denominator::DOUBLE AS d,
        cell.sample_size AS s
    FROM kpi.value AS cell
    JOIN registry.kpi AS definition
        ON (definition.kpi_code, definition.definition_version) = (cell.kpi_code, cell.definition_version)
    WHERE cell.value IS NOT NULL AND definition.kind <> 'quantile'
) AS part
WHERE value IS DISTINCT FROM ${formula}
ORDER BY ALL
