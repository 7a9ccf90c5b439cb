-- Public cells that should have a value and show none: not calculable or suppressed, and why; what does not apply is
-- not missing
SELECT
    kpi_code,
    kpi_name_en,
    kpi_name_ru,
    kpi_name_kk,
    kato,
    settlement_en,
    settlement_ru,
    settlement_kk,
    region_kato,
    region_en,
    region_ru,
    region_kk,
    item7_group,
    item7_group_en,
    item7_group_ru,
    item7_group_kk,
    period_id,
    grain,
    year,
    state,
    state_en,
    state_ru,
    state_kk,
    obs_status,
    reason_code,
    reason_en,
    reason_ru,
    reason_kk
FROM public_series
WHERE value IS NULL AND obs_status <> ${not_applicable}
