-- settlements and days of rejected rows of deliveries decided on after a sequence, or of earlier ones that these
-- replaced
INSERT INTO work_changed_day
SELECT
    ${key} AS scan_key,
    settlement.kato,
    ${date_read} AS day,
    max(decided.seq) AS seq
FROM (
    SELECT
        system,
        scope,
        period_start,
        period_end,
        max(loaded_seq) AS seq
    FROM audit.delivery
    WHERE state = 'loaded' AND table_name = ${table_name} AND loaded_seq > ${since}
    GROUP BY ALL
) AS decided
JOIN audit.delivery AS replaced
    ON
        replaced.table_name = ${table_name}
        AND replaced.state = 'loaded'
        AND (replaced.system, replaced.scope, replaced.period_start, replaced.period_end)
        = (decided.system, decided.scope, decided.period_start, decided.period_end)
JOIN (
    SELECT
        rejected_row.*,
        its_delivery.scope
    FROM audit.rejected_row AS rejected_row
    JOIN audit.delivery AS its_delivery USING (delivery_id)
    WHERE
        rejected_row.column_name IS NULL
        AND rejected_row.moments IS NOT NULL
        AND its_delivery.table_name = ${table_name}
) AS rejected ON replaced.delivery_id = rejected.delivery_id
JOIN registry.settlement AS settlement ON ${concerns}
GROUP BY ALL
HAVING day IS NOT NULL
