-- One row per KPI, group or country, and period, of KPIs whose publication is not restricted.
SELECT
    rollup.kpi_code,
    rollup.area_kind,
    rollup.area,
    rollup.period_id,
    rollup.period_start,
    rollup.grain,
    rollup.value,
    rollup.value_low,
    rollup.value_high,
    rollup.obs_status,
    rollup.reason_en,
    rollup.reason_ru,
    rollup.reason_kk,
    rollup.counted,
    rollup.applicable
FROM rollups AS rollup
WHERE
    rollup.area_kind IN ('group', 'country')
    AND rollup.kpi_code NOT IN (SELECT code FROM registry.kpi WHERE sensitivity = 'restricted')
ORDER BY rollup.kpi_code, rollup.area_kind, rollup.area, rollup.period_start, rollup.period_id
