-- one row per decided delivery and rule by which it fails a criterion of the law
CREATE OR REPLACE TEMP TABLE work_opened_incident AS
SELECT
    delivery.delivery_id,
    delivery.table_name,
    delivery.system,
    delivery.scope,
    delivery.period_id,
    found.rule,
    coalesce(rule.criterion, 'truthfulness') AS criterion,
    coalesce(rule.incident_kind, 'other') AS kind,
    found.observed,
    found.expected,
    delivery.loaded_seq AS opened_seq,
    delivery.loaded_at AS opened_at
FROM work_decided_delivery
JOIN audit.delivery AS delivery USING (delivery_id)
JOIN audit.check_result AS found USING (delivery_id)
LEFT JOIN registry.rule AS rule ON (rule.table_name, rule.rule) = (found.table_name, found.rule)
WHERE ${fails}
