-- Incidents by criterion of the law and kind
SELECT
    incident.criterion,
    incident.kind,
    count(*) AS opened,
    count(*) FILTER (WHERE incident.status = 'open') AS still_open
FROM incidents AS incident
LEFT JOIN registry.criterion AS criterion USING (criterion)
GROUP BY incident.criterion, criterion.position, incident.kind
ORDER BY criterion.position, incident.kind
