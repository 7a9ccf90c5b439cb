-- one row per needed table, settlement and month with a delivery loaded or refused up to a sequence
CREATE OR REPLACE TEMP TABLE work_delivered_month AS
SELECT
    delivery.table_name,
    settlement.kato,
    period_month.period_id AS month,
    bool_or(delivery.state = 'loaded') AS loaded,
    arg_max(delivery.delivery_id, delivery.loaded_seq) FILTER (WHERE delivery.state = 'refused') AS refused,
    list(DISTINCT incident.failing ORDER BY incident.failing)
    FILTER (WHERE delivery.state = 'loaded' AND incident.failing IS NOT NULL) AS doubt,
    list(DISTINCT incident.leaping ORDER BY incident.leaping)
    FILTER (WHERE delivery.state = 'loaded' AND incident.leaping IS NOT NULL) AS leaping
FROM audit.delivery AS delivery
LEFT JOIN work_open_incident AS incident USING (delivery_id)
JOIN (FROM registry.period WHERE grain = 'M' AND period_id IN (SELECT month FROM work_period_month)) AS period_month
    ON period_month.period_start >= delivery.period_start AND period_month.period_end <= delivery.period_end
JOIN registry.settlement AS settlement
    ON delivery.scope = settlement.kato OR delivery.scope = 'KZ' OR delivery.scope = settlement.kato2
WHERE
    delivery.state IN ('loaded', 'refused')
    AND delivery.loaded_seq <= ${seq}
    AND delivery.table_name IN (SELECT table_name FROM work_needed_table)
GROUP BY ALL
