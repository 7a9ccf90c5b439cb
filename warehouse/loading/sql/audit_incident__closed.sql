-- every incident that a delivery closes gets when, by which one, and why
UPDATE audit.incident AS incident SET
    closed_seq = closed.loaded_seq,
    closed_at = closed.loaded_at,
    closed_by = 'delivery ' || closed.delivery_id,
    closing_reason = CASE
        WHEN closed.again THEN ${failing_again}
        ELSE ${without}
    END
FROM work_closed_incident AS closed
WHERE closed.incident_id = incident.incident_id
