-- (month to run, KPI, period and definition): periods of values in force that meet a condition, of KPIs once computed
SELECT DISTINCT
    period.closing_month,
    former.kpi_code,
    period.period_id || ' ' || kpi.definition_hash AS period_and_definition
FROM kpi.value AS former
JOIN work_kpi_in_force AS kpi USING (kpi_code)
JOIN registry.period AS period
    ON
        former.period_id = period.period_id
        AND kpi.grain = period.grain
        AND period.period_start >= kpi.starts
        AND period.period_start < kpi.ends
WHERE
    former.valid_to_seq IS NULL
    AND period.period_end <= ${first}
    AND kpi.computed_seq IS NOT NULL
    AND ${condition}
ORDER BY ALL
