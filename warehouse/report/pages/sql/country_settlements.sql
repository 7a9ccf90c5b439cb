-- Of every settlement: whether it delivers at all, and how many of its KPIs have a value for a year
SELECT
    settlement.kato,
    settlement.kato IN (SELECT scope FROM deliveries WHERE state = 'loaded') AS delivers,
    count(*) FILTER (WHERE fact.obs_status <> 'M') AS applicable,
    count(fact.value) AS valued
FROM registry.settlement AS settlement
LEFT JOIN year_values AS fact ON fact.kato = settlement.kato AND fact.year = ${year}
GROUP BY ALL
ORDER BY settlement.kato
