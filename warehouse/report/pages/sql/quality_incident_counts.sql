-- Incidents by criterion of the law and kind
SELECT
    incident.criterion_en,
    incident.criterion_ru,
    incident.criterion_kk,
    incident.kind,
    count(*) AS opened,
    count(*) FILTER (WHERE incident.status = 'open') AS still_open
FROM incidents AS incident
LEFT JOIN registry.criterion AS criterion USING (criterion)
GROUP BY ALL
ORDER BY min(criterion.position), incident.kind
