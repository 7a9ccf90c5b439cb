-- Year values that may be made public, for comparisons: of every KPI, settlement and year with a value
SELECT
    fact.year::INTEGER AS year,
    fact.kpi_code,
    fact.kato,
    fact.value,
    fact.value_low,
    fact.value_high,
    fact.obs_status
FROM year_values AS fact
JOIN registry.settlement AS settlement ON settlement.kato = fact.kato
WHERE
    fact.value IS NOT NULL
    AND fact.obs_status <> 'Q'
    AND fact.kpi_code NOT IN (SELECT code FROM registry.kpi WHERE sensitivity = 'restricted')
ORDER BY fact.year, fact.kpi_code, fact.kato
