-- Feeds of which agreed periods are missing, the longest overdue first
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
FROM (${missing}) AS expected
GROUP BY expected.table_name, expected.system, expected.scope
ORDER BY days DESC, expected.table_name, expected.scope, expected.system
