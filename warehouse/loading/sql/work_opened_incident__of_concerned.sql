-- one row more per other delivery that an incident concerns as well
INSERT INTO work_opened_incident
SELECT
    other.delivery_id,
    other.table_name,
    other.system,
    other.scope,
    other.period_id,
    opened.* EXCLUDE (delivery_id, table_name, system, scope, period_id)
FROM work_concerned_delivery AS concerned
JOIN work_opened_incident AS opened USING (delivery_id, rule)
JOIN audit.delivery AS other ON other.delivery_id = concerned.other_delivery_id AND other.state = 'loaded'
