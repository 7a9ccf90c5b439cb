-- every opened incident gets its number
INSERT INTO audit.incident BY NAME
SELECT
    (
        SELECT coalesce(max(incident_id), 0) FROM audit.incident
    ) + row_number() OVER (ORDER BY delivery_id, rule, opened_seq) AS incident_id,
    *
FROM work_opened_incident
