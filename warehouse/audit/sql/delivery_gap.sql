-- Runs of missing periods of a feed: table, system, territory, and its periods with the day by which each was due.
-- A period of which a delivery stands refused is not missing without a reason
WITH missing AS (
    SELECT
        one.*,
        coalesce(lag(one.period_end) OVER feed <> one.period_start, true) AS begins
    FROM (${missing}) AS one
    ANTI JOIN (FROM deliveries WHERE state = 'refused') AS refused
        ON
            (refused.table_name, refused.system, refused.scope) = (one.table_name, one.system, one.scope)
            AND refused.period_start < one.period_end
            AND refused.period_end > one.period_start
    WINDOW feed AS (PARTITION BY one.table_name, one.system, one.scope ORDER BY one.period_start)
),

numbered AS (
    SELECT
        missing.*,
        count(*) FILTER (WHERE begins) OVER feed AS gap
    FROM missing
    WINDOW feed AS (PARTITION BY table_name, system, scope ORDER BY period_start)
)

SELECT
    table_name,
    system,
    scope,
    list((period_id, due_on) ORDER BY period_start) AS periods
FROM numbered
GROUP BY table_name, system, scope, gap
HAVING min(due_on) >= ${since}::DATE
ORDER BY min(due_on), table_name, system, scope
