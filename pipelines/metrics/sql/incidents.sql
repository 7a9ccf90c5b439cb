-- incidents by criterion and severity of the rule that failed, with how many of them are open
SELECT
    incident.criterion,
    coalesce(found.severity, 'warning') AS severity,
    count(*) AS opened,
    count(*) FILTER (WHERE incident.closed_seq IS NULL) AS open
FROM audit.incident AS incident
LEFT JOIN audit.check_result AS found
    ON
        incident.delivery_id = found.delivery_id
        AND incident.table_name = found.table_name
        AND incident.rule = found.rule
GROUP BY ALL
ORDER BY ALL
