-- one row per due roll-up with suppressed cells: whether it is suppressed itself, and these cells with their
-- observations
SELECT
    due.kpi_code,
    due.period_id[:4] AS year,
    due.area_kind,
    due.area,
    due.period_id,
    due.longer,
    computed.obs_status = ${suppressed} AS hidden,
    kpi.minimum_cell,
    list(member.kato || ' ' || member.own_period ORDER BY member.kato, member.own_period) AS cells,
    list(
        CASE WHEN kpi.counts_distinct THEN member.numerator ELSE member.sample_size END::DOUBLE
        ORDER BY member.kato, member.own_period
    ) AS sizes
FROM work_rollup_member AS member
JOIN work_due_rollup AS due ON member.target = due.rowid
JOIN work_computed_rollup AS computed USING (kpi_code, area_kind, area, period_id)
JOIN work_kpi_version AS kpi
    ON (kpi.kpi_code, kpi.version) = (computed.kpi_code, computed.definition_version)
WHERE member.obs_status = ${suppressed} AND member.counts AND kpi.kind <> 'quantile'
GROUP BY ALL
ORDER BY 1, 2
