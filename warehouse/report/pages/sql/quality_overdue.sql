-- What was agreed to come and did not, by table, system and territory: of every feed that has begun, the periods since its first
-- delivery whose deadline has passed without one. Nothing is expected of who never delivered: that is told on its own
WITH feed AS (
    SELECT
        delivery.table_name,
        delivery.system,
        delivery.scope,
        any_value(dataset.frequency) AS frequency,
        any_value(dataset.latency_days) AS latency_days,
        any_value(dataset.agreed_from) AS agreed_from,
        min(delivery.period_start) AS begun,
        max(delivery.period_end) FILTER (WHERE delivery.state = 'loaded') AS delivered_until,
        max(delivery.received_at) AS last_received
    FROM deliveries AS delivery
    JOIN registry.dataset AS dataset ON dataset.table_name = delivery.table_name
    WHERE dataset.frequency IS NOT NULL AND dataset.latency_days IS NOT NULL
    GROUP BY delivery.table_name, delivery.system, delivery.scope
),

expected AS (
    SELECT
        feed.*,
        period.id,
        period.period_start,
        period.period_end,
        period.period_end + feed.latency_days AS due_on
    FROM feed
    JOIN registry.period AS period
        ON period.grain = feed.frequency AND period.period_start >= feed.begun
    WHERE
        period.period_end + feed.latency_days < ${today}
        AND period.period_end > coalesce(feed.agreed_from, period.period_start)
)

SELECT
    expected.table_name,
    expected.system,
    expected.scope,
    count(*) AS periods,
    min(expected.id) AS first_period,
    max(expected.id) AS last_period,
    min(expected.due_on) AS due_on,
    date_diff('day', min(expected.due_on), ${today}) AS days,
    any_value(expected.delivered_until) AS delivered_until,
    any_value(expected.last_received) AS last_received
FROM expected
ANTI JOIN (FROM deliveries WHERE state = 'loaded') AS came
    ON
        (came.table_name, came.system, came.scope) = (expected.table_name, expected.system, expected.scope)
        AND came.period_start <= expected.period_start
        AND came.period_end >= expected.period_end
GROUP BY expected.table_name, expected.system, expected.scope
ORDER BY days DESC, expected.table_name, expected.scope, expected.system
