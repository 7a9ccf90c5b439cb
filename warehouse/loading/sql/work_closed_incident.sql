-- one row per open incident that a decided delivery closes; `again`: that delivery fails by the same rule.
-- A loaded delivery closes all incidents of its slice; a refused one only those of refused deliveries, as it takes
-- nothing back of what was loaded before it. A loaded complete delivery of more days or more territory also closes the
-- incidents of the slices whose place it takes
CREATE OR REPLACE TEMP TABLE work_closed_incident AS
SELECT
    incident.incident_id,
    newer.delivery_id,
    newer.loaded_seq,
    newer.loaded_at,
    exists(
        SELECT 1
        FROM work_opened_incident AS opened
        WHERE (opened.delivery_id, opened.rule) = (newer.delivery_id, incident.rule)
    ) AS again
FROM audit.incident AS incident
LEFT JOIN audit.delivery AS opened_by ON opened_by.loaded_seq = incident.opened_seq
JOIN audit.delivery AS own ON own.delivery_id = coalesce(opened_by.delivery_id, incident.delivery_id)
JOIN audit.delivery AS newer
    ON
        (newer.table_name, newer.system) = (own.table_name, own.system)
        AND newer.loaded_seq > incident.opened_seq
        AND newer.delivery_id IN (SELECT delivery_id FROM work_decided_delivery)
WHERE
    incident.closed_seq IS NULL
    -- whether it is mended says the source: the next reconciliation
    AND NOT starts_with(incident.rule, 'control.')
    AND CASE
        WHEN (newer.scope, newer.period_id) = (own.scope, own.period_id)
            THEN newer.state = 'loaded' OR (newer.state IN ('refused', 'duplicate') AND own.state = 'refused')
        ELSE
            newer.state = 'loaded'
            AND newer.kind = 'complete'
            AND newer.cut_by IS NOT NULL
            AND newer.period_start <= own.period_start
            AND newer.period_end >= own.period_end
            AND ${covers}
            AND own.order_seq < newer.order_seq
    END
QUALIFY row_number() OVER (PARTITION BY incident.incident_id ORDER BY newer.loaded_seq) = 1
