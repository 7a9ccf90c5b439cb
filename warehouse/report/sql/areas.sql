-- One row per KPI, group or country, and period.
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
FROM public_rollups AS rollup
WHERE rollup.area_kind IN ('group', 'country')
ORDER BY rollup.kpi_code, rollup.area_kind, rollup.area, rollup.period_start, rollup.period_id
