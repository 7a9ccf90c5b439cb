-- one row per territory and period, or year, above a changed value; longer: a year made of shorter periods
CREATE OR REPLACE TEMP TABLE work_due_rollup AS
SELECT DISTINCT
    changed.kpi_code,
    area.area_kind,
    area.area,
    period.period_id,
    period.period_start,
    period.period_end,
    false AS longer
FROM work_changed_value AS changed
JOIN work_area AS area USING (kato)
JOIN registry.period AS period ON changed.period_id = period.period_id
WHERE area.area_kind <> 'settlement'
UNION ALL
SELECT DISTINCT
    changed.kpi_code,
    area.area_kind,
    area.area,
    whole_year.period_id,
    whole_year.period_start,
    whole_year.period_end,
    true AS longer
FROM work_changed_value AS changed
JOIN work_sum_over_time AS sums USING (kpi_code)
JOIN work_area AS area USING (kato)
JOIN registry.period AS whole_year ON whole_year.period_id = changed.period_id[:4]
WHERE sums.grain <> 'A' AND sums.over_time <> 'none'
