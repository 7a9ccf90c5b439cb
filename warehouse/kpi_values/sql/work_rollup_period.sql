-- one row per period of a due roll-up and period of its cells; by equality: a join over ranges of days would be
-- the slowest part of a run
CREATE OR REPLACE TEMP TABLE work_rollup_period AS
SELECT
    due.period_id,
    period.grain,
    period.period_id AS own_period,
    period.period_start,
    period.period_end,
    period.period_end = due.period_end AS closing
FROM (
    SELECT DISTINCT
        period_id,
        period_end,
        longer
    FROM work_due_rollup
) AS due
JOIN registry.period AS period
    ON
        CASE
            WHEN due.longer THEN period.grain <> 'A' AND period.period_id[:4] = due.period_id
            ELSE period.period_id = due.period_id
        END
