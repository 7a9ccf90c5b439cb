-- every incident that a delivery closes gets when, by which one, and why
UPDATE audit.incident AS incident SET
    closed_seq = closed.loaded_seq,
    closed_at = closed.loaded_at,
    closed_by = 'delivery ' || closed.delivery_id,
    closing_reason = CASE
        WHEN closed.again THEN 'delivered again and failing again: see the incident of that delivery'
        ELSE 'delivered again without it'
    END
FROM work_closed_incident AS closed
WHERE closed.incident_id = incident.incident_id
