-- One row of every KPI for every settlement and year: yearly KPIs as published, others over the year's periods
SELECT
    kpi_code,
    kato,
    CAST(period_id[:4] AS INTEGER) AS year,
    value,
    value_low,
    value_high,
    obs_status,
    state,
    reason,
    CASE WHEN obs_status <> ${suppressed} THEN sample_size END AS sample_size,
    definition_version,
    1.0 AS period_coverage
FROM kpi.value
JOIN registry.period AS period USING (period_id)
WHERE period.grain = 'A' AND ${held}
UNION ALL
SELECT
    kpi_code,
    area,
    CAST(period_id[:4] AS INTEGER) AS year,
    value,
    value_low,
    value_high,
    obs_status,
    state,
    reason,
    CASE WHEN obs_status <> ${suppressed} THEN sample_size END AS sample_size,
    definition_version,
    counted / NULLIF(applicable, 0) AS period_coverage
FROM kpi.rollup
WHERE area_kind = 'settlement' AND ${held}
