-- Targets of one settlement beside the year's value.
SELECT
    plan.* REPLACE (plan.year::INTEGER AS year),
    fact.obs_status,
    plan.fact AS value,
    plan.fact_low AS value_low,
    plan.fact_high AS value_high,
    definition.sensitivity
FROM plan_beside_fact AS plan
JOIN registry.kpi AS definition ON definition.code = plan.kpi_code
LEFT JOIN year_values AS fact
    ON (fact.kpi_code, fact.kato, fact.year::VARCHAR) = (plan.kpi_code, plan.kato, plan.year::VARCHAR)
WHERE
    plan.kato = ${kato}
    AND (${kpi_code} IS NULL OR plan.kpi_code = ${kpi_code})
    AND (${target_year} IS NULL OR plan.year::INTEGER = ${target_year})
    AND (${document_kind} IS NULL OR plan.document_kind = ${document_kind})
QUALIFY definition.version = max(definition.version) OVER (PARTITION BY plan.kpi_code)
ORDER BY plan.year, plan.kpi_code, plan.document_kind
