-- one row per settlement and month with a delivery of a system that was decided on: the last one that was loaded, the
-- state of the last one, and how many rows of the loaded one were rejected
SELECT
    settlement.kato,
    period_month.period_id AS month,
    coalesce(max_by(delivery.delivery_id, delivery.loaded_seq) FILTER (WHERE delivery.state = 'loaded'), 0) AS loaded,
    coalesce(max_by(delivery.scope, delivery.loaded_seq) FILTER (WHERE delivery.state = 'loaded'), '') AS scope,
    coalesce(max_by(delivery.period_id, delivery.loaded_seq) FILTER (WHERE delivery.state = 'loaded'), '') AS period_id,
    max_by(delivery.state, delivery.loaded_seq) AS state,
    coalesce(max_by(delivery.rejected_rows, delivery.loaded_seq) FILTER (WHERE delivery.state = 'loaded'), 0) AS lost
FROM audit.delivery AS delivery
JOIN registry.period AS period_month
    ON
        period_month.grain = 'M'
        AND period_month.period_start >= delivery.period_start
        AND period_month.period_end <= delivery.period_end
JOIN registry.settlement AS settlement
    ON delivery.scope = settlement.kato OR delivery.scope = 'KZ' OR delivery.scope = settlement.kato2
WHERE
    delivery.table_name = ${table_name}
    AND delivery.system = ${system}
    AND delivery.state IN ('loaded', 'refused')
    AND settlement.kato IN (${settlements})
    AND period_month.period_id BETWEEN ${first} AND ${last}
GROUP BY ALL
