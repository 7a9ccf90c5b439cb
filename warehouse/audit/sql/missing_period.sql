-- What was agreed to come and did not: of every feed (table, system, territory) that has begun, the periods since its
-- first delivery whose deadline has passed without one. Nothing is expected of who never delivered
WITH feed AS (
    SELECT
        delivery.table_name,
        delivery.system,
        delivery.scope,
        any_value(dataset.frequency) AS frequency,
        any_value(dataset.latency_days) AS latency_days,
        any_value(dataset.agreed_from) AS agreed_from,
        any_value(delivery.table_en) AS table_en,
        any_value(delivery.table_ru) AS table_ru,
        any_value(delivery.table_kk) AS table_kk,
        any_value(delivery.scope_en) AS scope_en,
        any_value(delivery.scope_ru) AS scope_ru,
        any_value(delivery.scope_kk) AS scope_kk,
        min(delivery.period_start) AS begun,
        max(delivery.period_end) FILTER (WHERE delivery.state = 'loaded') AS delivered_until,
        max(delivery.received_at) AS last_received
    FROM deliveries AS delivery
    JOIN registry.showcase_table AS dataset ON dataset.table_name = delivery.table_name
    WHERE dataset.frequency IS NOT NULL AND dataset.latency_days IS NOT NULL
    GROUP BY delivery.table_name, delivery.system, delivery.scope
),

expected AS (
    SELECT
        feed.*,
        period.period_id,
        period.closing_month,
        period.period_start,
        period.period_end,
        period.period_end + feed.latency_days AS due_on
    FROM feed
    JOIN registry.period AS period
        ON period.grain = feed.frequency AND period.period_start >= feed.begun
    WHERE
        period.period_end + feed.latency_days < ${today}::DATE
        AND period.period_end > coalesce(feed.agreed_from, period.period_start)
)

SELECT expected.*
FROM expected
ANTI JOIN (FROM deliveries WHERE state = 'loaded') AS came
    ON
        (came.table_name, came.system, came.scope) = (expected.table_name, expected.system, expected.scope)
        AND came.period_start <= expected.period_start
        AND came.period_end >= expected.period_end
