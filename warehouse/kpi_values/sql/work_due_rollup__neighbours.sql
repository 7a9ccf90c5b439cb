-- sums of the KPIs and years of due roll-ups that have a suppressed cell and are not due themselves
INSERT INTO work_due_rollup BY NAME
WITH asked AS (
    SELECT DISTINCT
        kpi_code,
        period_id[:4] AS year
    FROM work_due_rollup
),

hidden AS (
    SELECT
        cell.kpi_code,
        cell.kato,
        cell.period_id,
        asked.year,
        sums.grain,
        sums.over_time
    FROM ${current_values} AS cell
    JOIN asked ON (asked.kpi_code, asked.year) = (cell.kpi_code, cell.period_id[:4])
    JOIN work_sum_over_time AS sums ON cell.kpi_code = sums.kpi_code
    WHERE cell.obs_status = ${suppressed}
),

sums_above AS (
    SELECT
        hidden.kpi_code,
        area.area_kind,
        area.area,
        hidden.period_id,
        false AS longer
    FROM hidden
    JOIN work_area AS area USING (kato)
    WHERE area.area_kind <> 'settlement'
    UNION
    SELECT
        hidden.kpi_code,
        area.area_kind,
        area.area,
        hidden.year,
        true AS longer
    FROM hidden
    JOIN work_area AS area USING (kato)
    WHERE hidden.grain <> 'A' AND hidden.over_time <> 'none'
)

SELECT
    sums_above.kpi_code,
    sums_above.area_kind,
    sums_above.area,
    sums_above.period_id,
    period.period_start,
    period.period_end,
    sums_above.longer
FROM sums_above
JOIN registry.period AS period ON sums_above.period_id = period.period_id
ANTI JOIN work_due_rollup AS due
    ON
        (due.kpi_code, due.area_kind, due.area, due.period_id)
        = (sums_above.kpi_code, sums_above.area_kind, sums_above.area, sums_above.period_id)
