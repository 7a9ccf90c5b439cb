-- one row per table, settlement and days of a delivery that was decided on, or had an incident opened or closed,
-- after a sequence
CREATE OR REPLACE TEMP TABLE work_decision AS
SELECT
    concerned.table_name,
    settlement.kato,
    concerned.period_start,
    concerned.period_end,
    max(decision.seq) AS seq
FROM (
    SELECT
        delivery_id,
        loaded_seq AS seq
    FROM audit.delivery
    WHERE loaded_seq > ${since}
    UNION ALL
    SELECT
        delivery_id,
        opened_seq
    FROM audit.incident
    WHERE opened_seq > ${since}
    UNION ALL
    SELECT
        delivery_id,
        closed_seq
    FROM audit.incident
    WHERE closed_seq > ${since}
) AS decision
JOIN audit.delivery AS concerned USING (delivery_id)
LEFT JOIN registry.settlement AS settlement
    ON concerned.scope = settlement.kato OR concerned.scope = 'KZ' OR concerned.scope = settlement.kato2
GROUP BY ALL
