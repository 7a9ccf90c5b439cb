-- cells that nobody has computed yet, before one that was: the KPI applies to them, and they have no value
INSERT INTO work_rollup_member BY NAME
WITH due_period AS (
    SELECT DISTINCT
        due.kpi_code,
        due.period_id,
        period.own_period,
        period.period_start,
        period.period_end
    FROM work_due_rollup AS due
    JOIN work_sum_over_time AS sums USING (kpi_code)
    JOIN work_rollup_period AS period USING (period_id, grain)
    WHERE due.longer AND sums.over_time = 'sum'
),

absent AS (
    SELECT
        due_period.*,
        settlement.kato
    FROM due_period
    JOIN work_kpi_version AS kpi
        ON
            due_period.kpi_code = kpi.kpi_code
            AND due_period.period_start >= kpi.starts
            AND due_period.period_start < kpi.ends
    JOIN registry.settlement AS settlement
        ON list_contains(string_split(kpi.categories, ', '), settlement.item7_group)
    ANTI JOIN ${current_values} AS cell
        ON
            (cell.kpi_code, cell.kato, cell.period_id)
            = (due_period.kpi_code, settlement.kato, due_period.own_period)
    WHERE
        kpi.season IS NULL
        OR list_contains(string_split(kpi.season_months, ', '), month(due_period.period_start)::VARCHAR)
),

last_computed AS (
    SELECT
        target,
        max(period_end) AS last_end
    FROM work_rollup_member
    GROUP BY target
)

SELECT
    due.rowid AS target,
    area.kato,
    absent.own_period,
    absent.period_start,
    absent.period_end,
    FALSE AS counts
FROM absent
JOIN work_due_rollup AS due
    ON due.longer AND (due.kpi_code, due.period_id) = (absent.kpi_code, absent.period_id)
JOIN work_area AS area
    ON (area.area_kind, area.area, area.kato) = (due.area_kind, due.area, absent.kato)
JOIN last_computed
    ON last_computed.target = due.rowid AND absent.period_end <= last_computed.last_end
