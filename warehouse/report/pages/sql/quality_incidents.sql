-- Incidents: open ones first, the oldest of them first, then closed ones, the newest first
SELECT
    incident.*,
    delivery.file_name,
    -- what was found may name things and figures of a table that a restricted KPI is made of
    incident.table_name IN (
        SELECT source.table_name
        FROM registry.kpi_source AS source
        JOIN registry.kpi AS kpi USING (kpi_code)
        WHERE kpi.sensitivity = 'restricted'
    ) AS held_back,
    date_diff('day', incident.opened_at::DATE, coalesce(incident.closed_at::DATE, ${today}::DATE)) AS days
FROM incidents AS incident
LEFT JOIN audit.delivery AS delivery USING (delivery_id)
ORDER BY
    incident.status = 'open' DESC,
    CASE WHEN incident.status = 'open' THEN incident.opened_seq ELSE -incident.closed_seq END,
    incident.incident_id
LIMIT ${most}
