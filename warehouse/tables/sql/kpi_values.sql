-- Every current KPI value with names, all periods; parts of suppressed values are left out
SELECT
    cell.kpi_code,
    definition.name_en AS kpi_name_en,
    definition.name_ru AS kpi_name_ru,
    cell.kato,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru,
    settlement.item7_group,
    cell.period_id,
    cell.period_start,
    cell.value,
    cell.value_low,
    cell.value_high,
    definition.unit,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.numerator END AS numerator,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.denominator END AS denominator,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.sample_size END AS sample_size,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.rejected_rows END AS rejected_rows,
    CASE WHEN cell.obs_status <> ${suppressed} THEN cell.gap_rows END AS gap_rows,
    cell.state,
    cell.obs_status,
    cell.reason,
    cell.coverage,
    definition.sphere,
    definition.initiative,
    definition.direction,
    definition.sensitivity,
    cell.definition_version,
    cell.definition_hash,
    definition.catalogue_id,
    definition.catalogue_status,
    cell.as_of_seq,
    cell.computed_at
FROM kpi.value AS cell
JOIN registry.kpi AS definition ON definition.code = cell.kpi_code AND definition.version = cell.definition_version
JOIN registry.settlement AS settlement USING (kato)
WHERE ${held}
