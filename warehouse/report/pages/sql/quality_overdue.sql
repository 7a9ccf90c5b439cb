-- What was agreed to come and did not, by table, system and territory: of every feed that has begun, the periods since
-- its first delivery whose deadline has passed without one. Nothing is expected of who never delivered
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

SELECT
    expected.table_name,
    expected.system,
    expected.scope,
    any_value(expected.table_en) AS table_en,
    any_value(expected.table_ru) AS table_ru,
    any_value(expected.table_kk) AS table_kk,
    any_value(expected.scope_en) AS scope_en,
    any_value(expected.scope_ru) AS scope_ru,
    any_value(expected.scope_kk) AS scope_kk,
    any_value(expected.frequency) AS frequency,
    any_value(expected.latency_days) AS latency_days,
    list(expected.closing_month ORDER BY expected.period_start) AS months,
    arg_min(expected.period_id, expected.period_start) AS first_period,
    arg_max(expected.period_id, expected.period_start) AS last_period,
    min(expected.due_on) AS due_on,
    date_diff('day', min(expected.due_on), ${today}::DATE) AS days,
    -- of the periods after the newest that came
    count(*) FILTER (WHERE expected.period_start >= coalesce(expected.delivered_until, expected.begun)) AS in_a_row,
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
