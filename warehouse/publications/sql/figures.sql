-- Every public figure of a release, one row an observation: settlements as `public_values` shows them, roll-ups as
-- `public_rollups` does.
-- An area is a code of CL_AREA: KATO of a settlement, ISO 3166-2, which has its first two digits, for a region
SELECT
    cell.catalogue_id AS catalogue,
    cell.grain AS freq,
    CASE cell.area_kind
        WHEN 'region' THEN 'KZ-' || left(cell.area, 2)
        WHEN 'group' THEN 'GROUP_' || upper(cell.area)
        ELSE cell.area
    END AS ref_area,
    cell.kpi_code AS indicator,
    cell.period_id AS time_period,
    cell.value::VARCHAR AS obs_value,
    cell.obs_status,
    cell.unit AS unit_measure,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.value_low::VARCHAR END AS lower_bound,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.value_high::VARCHAR END AS upper_bound,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.numerator::VARCHAR END AS numerator,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.denominator::VARCHAR END AS denominator,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.sample_size::VARCHAR END AS sample_size,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.rejected_rows::VARCHAR END AS rejected_rows,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.gap_rows::VARCHAR END AS gap_rows,
    cell.coverage::VARCHAR AS data_coverage,
    cell.counted::VARCHAR AS counted,
    cell.applicable::VARCHAR AS applicable,
    cell.definition_version::VARCHAR AS definition_version,
    cell.reason_code,
    cell.reason_en,
    cell.reason_ru,
    cell.reason_kk
FROM (
    SELECT
        'settlement' AS area_kind,
        kato AS area,
        kpi_code,
        period_id,
        value,
        value_low,
        value_high,
        unit,
        numerator,
        denominator,
        sample_size,
        rejected_rows,
        gap_rows,
        coverage,
        NULL AS counted,
        NULL AS applicable,
        obs_status,
        reason_code,
        reason_en,
        reason_ru,
        reason_kk,
        definition_version,
        catalogue_id,
        grain,
        period_start
    FROM public_values
    UNION ALL BY NAME
    SELECT
        area_kind,
        area,
        kpi_code,
        period_id,
        value,
        value_low,
        value_high,
        unit,
        numerator,
        denominator,
        sample_size,
        rejected_rows,
        gap_rows,
        NULL AS coverage,
        counted,
        applicable,
        obs_status,
        reason_code,
        reason_en,
        reason_ru,
        reason_kk,
        definition_version,
        catalogue_id,
        grain,
        period_start
    FROM public_rollups
) AS cell
ORDER BY catalogue, indicator, ref_area, cell.period_start, freq, time_period
