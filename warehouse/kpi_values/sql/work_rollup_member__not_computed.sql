-- cells that nobody has computed yet, before one that was: the KPI applies to them, and they have no value. Members of
-- territories come first: every settlement beside every territory would be sixty times as many rows
INSERT INTO work_rollup_member BY NAME
WITH last_computed AS (
    SELECT
        target,
        max(period_end) AS last_end
    FROM work_rollup_member
    GROUP BY target
),

due_period AS MATERIALIZED (
    SELECT
        due.rowid AS target,
        due.kpi_code,
        due.area_kind,
        due.area,
        period.own_period,
        period.period_start,
        period.period_end
    FROM work_due_rollup AS due
    JOIN work_sum_over_time AS sums USING (kpi_code)
    JOIN work_rollup_period AS period USING (period_id, grain)
    JOIN last_computed ON last_computed.target = due.rowid AND period.period_end <= last_computed.last_end
    WHERE due.longer AND sums.over_time = 'sum'
),

member AS MATERIALIZED (
    SELECT
        due_period.*,
        settlement.kato,
        settlement.item7_group
    FROM due_period
    JOIN work_area USING (area_kind, area)
    JOIN registry.settlement AS settlement USING (kato)
)

SELECT
    member.target,
    member.kato,
    member.own_period,
    member.period_start,
    member.period_end,
    FALSE AS counts
FROM member
JOIN work_kpi_version AS kpi
    ON
        member.kpi_code = kpi.kpi_code
        AND member.period_start >= kpi.starts
        AND member.period_start < kpi.ends
ANTI JOIN ${current_values} AS cell
    ON (cell.kpi_code, cell.kato, cell.period_id) = (member.kpi_code, member.kato, member.own_period)
WHERE
    list_contains(string_split(kpi.categories, ', '), member.item7_group)
    AND (
        kpi.season IS NULL
        OR list_contains(string_split(kpi.season_months, ', '), month(member.period_start)::VARCHAR)
    )
