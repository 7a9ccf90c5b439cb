-- Targets of one settlement beside the year's value.
SELECT
    *,
    fact AS value,
    fact_low AS value_low,
    fact_high AS value_high
FROM plan_beside_fact
WHERE
    kato = ${kato}
    AND (${kpi_code} IS NULL OR kpi_code = ${kpi_code})
    AND (${target_year} IS NULL OR year = ${target_year})
    AND (${document_kind} IS NULL OR document_kind = ${document_kind})
ORDER BY year, kpi_code, document_kind
