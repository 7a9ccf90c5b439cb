-- Public values beside those of the same period a year before: by how much they moved, which way is better, and
-- whether the bounds of both leave no doubt of it
SELECT
    cell.kpi_code,
    cell.kpi_name_en,
    cell.kpi_name_ru,
    cell.kpi_name_kk,
    cell.kato,
    cell.settlement_en,
    cell.settlement_ru,
    cell.settlement_kk,
    cell.region_kato,
    cell.region_en,
    cell.region_ru,
    cell.region_kk,
    cell.item7_group,
    cell.item7_group_en,
    cell.item7_group_ru,
    cell.item7_group_kk,
    cell.period_id,
    cell.grain,
    cell.year,
    former.period_id AS former_period_id,
    former.value AS former_value,
    former.value_low AS former_value_low,
    former.value_high AS former_value_high,
    cell.value,
    cell.value_low,
    cell.value_high,
    round((cell.value - former.value) * 1000000) / 1000000 AS difference,
    round(100000000 * (cell.value - former.value) / nullif(abs(former.value), 0)) / 1000000 AS difference_percent,
    movement_said.code AS movement,
    movement_said.name_en AS movement_en,
    movement_said.name_ru AS movement_ru,
    movement_said.name_kk AS movement_kk,
    coalesce(cell.value_low > former.value_high OR cell.value_high < former.value_low, false) AS beyond_bounds,
    cell.definition_version = former.definition_version AS same_definition,
    cell.unit,
    cell.unit_symbol,
    cell.unit_en,
    cell.unit_ru,
    cell.unit_kk,
    cell.direction,
    cell.direction_en,
    cell.direction_ru,
    cell.direction_kk,
    former.obs_status AS former_obs_status,
    cell.state,
    cell.state_en,
    cell.state_ru,
    cell.state_kk,
    cell.obs_status
FROM public_series AS cell
JOIN public_series AS former
    ON
        (former.kpi_code, former.kato, former.grain, former.year)
        = (cell.kpi_code, cell.kato, cell.grain, cell.year - 1)
        AND former.period_id[5:] = cell.period_id[5:]
JOIN registry.direction AS direction ON direction.direction = cell.direction
LEFT JOIN registry.code_list AS movement_said
    ON
        movement_said.list = 'movement'
        AND movement_said.code
        = CASE sign(cell.value - former.value) * direction.sign
            WHEN 1 THEN 'better' WHEN -1 THEN 'worse'
            ELSE 'same'
        END
WHERE cell.value IS NOT null AND former.value IS NOT null
