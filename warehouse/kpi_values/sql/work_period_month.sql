-- one row per period of the due cells and month of it; months are joined by equality, not over ranges of days of
-- every cell
CREATE OR REPLACE TEMP TABLE work_period_month AS
SELECT
    due.period_id,
    period_month.period_id AS month,
    period_month.period_end = due.period_end AS closing
FROM (
    SELECT DISTINCT
        period_id,
        CAST(period_start AS DATE) AS period_start,
        CAST(period_end AS DATE) AS period_end
    FROM work_due_cell
) AS due
JOIN registry.period AS period_month
    ON
        period_month.grain = 'M'
        AND period_month.period_start >= due.period_start
        AND period_month.period_end <= due.period_end
