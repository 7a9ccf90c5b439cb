-- Public figures that were published and then changed, of settlements, regions, groups and the country: what was said,
-- what is said instead, and why
WITH version AS (
    SELECT
        kpi_code,
        'settlement' AS area_kind,
        kato AS area,
        period_id,
        value,
        value_low,
        value_high,
        obs_status,
        reason,
        definition_version,
        as_of_seq,
        valid_from_seq,
        valid_to_seq
    FROM kpi.value
    UNION ALL
    SELECT
        kpi_code,
        area_kind,
        area,
        period_id,
        value,
        value_low,
        value_high,
        obs_status,
        reason,
        definition_version,
        as_of_seq,
        valid_from_seq,
        valid_to_seq
    FROM kpi.rollup
),

-- what is suppressed now is not said of the past either, nor are the sums of its year, from which it would follow
withheld AS (
    SELECT DISTINCT
        kpi_code,
        area_kind,
        area,
        period_id
    FROM version
    WHERE valid_to_seq IS NULL AND obs_status = ${suppressed}
),

changed AS (
    SELECT
        version.*,
        period.period_start,
        period.period_end,
        period.grain,
        settlement.kato2,
        settlement.item7_group,
        (version.kpi_code, version.area_kind, version.area, version.period_id) IN (FROM withheld)
        OR (
            (version.kpi_code, version.period_id[:4]) IN (SELECT (kpi_code, period_id[:4]) FROM withheld)
            AND (version.area_kind <> 'settlement' OR period.grain = 'A')
        ) AS is_withheld
    FROM version
    JOIN registry.period AS period USING (period_id)
    LEFT JOIN registry.settlement AS settlement ON version.area_kind = 'settlement' AND settlement.kato = version.area
    WHERE
        version.valid_to_seq IS NOT NULL
        AND version.kpi_code NOT IN (SELECT kpi_code FROM registry.kpi WHERE sensitivity = 'restricted')
),

decided AS (
    SELECT DISTINCT
        source.kpi_code,
        delivery.delivery_id,
        delivery.scope,
        settlement.item7_group,
        delivery.period_start,
        delivery.period_end,
        delivery.loaded_seq
    FROM registry.kpi_source AS source
    JOIN audit.delivery AS delivery USING (table_name)
    LEFT JOIN registry.settlement AS settlement ON settlement.kato = delivery.scope
    WHERE delivery.state IN ('loaded', 'refused')
),

cause AS (
    SELECT
        changed.kpi_code,
        changed.area_kind,
        changed.area,
        changed.period_id,
        changed.valid_to_seq,
        -- those of the period itself; else, if the figure is another, those that may have moved rows into or out of it
        coalesce(
            string_agg(DISTINCT decided.delivery_id, ', ' ORDER BY decided.delivery_id)
            FILTER (WHERE decided.period_start <= changed.period_end AND decided.period_end > changed.period_start),
            string_agg(DISTINCT decided.delivery_id, ', ' ORDER BY decided.delivery_id)
            FILTER (
                WHERE (now.value, now.value_low, now.value_high)
                IS DISTINCT FROM (changed.value, changed.value_low, changed.value_high)
            )
        ) AS delivery_ids
    FROM changed
    JOIN version AS now
        ON
            (now.kpi_code, now.area_kind, now.area, now.period_id, now.valid_from_seq)
            = (changed.kpi_code, changed.area_kind, changed.area, changed.period_id, changed.valid_to_seq)
    JOIN decided
        ON
            decided.kpi_code = changed.kpi_code
            AND decided.loaded_seq > changed.as_of_seq
            AND decided.loaded_seq <= now.as_of_seq
            AND CASE changed.area_kind
                WHEN 'settlement' THEN decided.scope IN (changed.area, changed.kato2, 'KZ')
                WHEN 'region' THEN decided.scope = 'KZ' OR decided.scope[:2] = changed.area[:2]
                WHEN 'group' THEN coalesce(decided.item7_group = changed.area, TRUE)
                ELSE TRUE
            END
    GROUP BY ALL
)

SELECT
    changed.kpi_code,
    definition.name_en AS kpi_name_en,
    definition.name_ru AS kpi_name_ru,
    definition.name_kk AS kpi_name_kk,
    changed.area_kind,
    changed.area,
    coalesce(settlement.name_en, region.name_en, item7_group.name_en, ${country_en}) AS area_en,
    coalesce(settlement.name_ru, region.name_ru, item7_group.name_ru, ${country_ru}) AS area_ru,
    coalesce(settlement.name_kk, region.name_kk, item7_group.name_kk, ${country_kk}) AS area_kk,
    changed.period_id,
    changed.grain,
    cast(changed.period_id[:4] AS INTEGER) AS year,
    CASE WHEN NOT changed.is_withheld THEN changed.value END AS former_value,
    CASE WHEN NOT changed.is_withheld THEN changed.value_low END AS former_value_low,
    CASE WHEN NOT changed.is_withheld THEN changed.value_high END AS former_value_high,
    changed.obs_status AS former_obs_status,
    former_status.name_en AS former_state_en,
    former_status.name_ru AS former_state_ru,
    former_status.name_kk AS former_state_kk,
    changed.definition_version AS former_definition_version,
    CASE WHEN NOT changed.is_withheld THEN cell.value END AS value,
    CASE WHEN NOT changed.is_withheld THEN cell.value_low END AS value_low,
    CASE WHEN NOT changed.is_withheld THEN cell.value_high END AS value_high,
    CASE WHEN NOT changed.is_withheld THEN round((cell.value - changed.value) * 1000000) / 1000000 END AS difference,
    definition.unit,
    unit.symbol AS unit_symbol,
    unit.name_en AS unit_en,
    unit.name_ru AS unit_ru,
    unit.name_kk AS unit_kk,
    status.state,
    status.name_en AS state_en,
    status.name_ru AS state_ru,
    status.name_kk AS state_kk,
    cell.obs_status,
    message.code AS reason_code,
    coalesce(message.text_en, cell.reason) AS reason_en,
    coalesce(message.text_ru, cell.reason) AS reason_ru,
    coalesce(message.text_kk, cell.reason) AS reason_kk,
    cell.definition_version,
    CASE
        WHEN cell.definition_version <> changed.definition_version THEN 'definition'
        WHEN cause.delivery_ids IS NOT NULL THEN 'delivery'
        ELSE 'recomputation'
    END AS cause,
    CASE
        WHEN cell.definition_version <> changed.definition_version THEN ${definition_en}
        WHEN cause.delivery_ids IS NOT NULL THEN ${delivery_en}
        ELSE ${recomputation_en}
    END AS cause_en,
    CASE
        WHEN cell.definition_version <> changed.definition_version THEN ${definition_ru}
        WHEN cause.delivery_ids IS NOT NULL THEN ${delivery_ru}
        ELSE ${recomputation_ru}
    END AS cause_ru,
    CASE
        WHEN cell.definition_version <> changed.definition_version THEN ${definition_kk}
        WHEN cause.delivery_ids IS NOT NULL THEN ${delivery_kk}
        ELSE ${recomputation_kk}
    END AS cause_kk,
    cause.delivery_ids,
    changed.valid_to_seq AS restated_seq,
    entry.recorded_at AS restated_at
FROM changed
LEFT JOIN version AS cell
    ON
        (cell.kpi_code, cell.area_kind, cell.area, cell.period_id, cell.valid_from_seq)
        = (changed.kpi_code, changed.area_kind, changed.area, changed.period_id, changed.valid_to_seq)
LEFT JOIN cause
    ON
        (cause.kpi_code, cause.area_kind, cause.area, cause.period_id, cause.valid_to_seq)
        = (changed.kpi_code, changed.area_kind, changed.area, changed.period_id, changed.valid_to_seq)
JOIN registry.kpi AS definition
    ON
        definition.kpi_code = changed.kpi_code
        AND definition.definition_version = coalesce(cell.definition_version, changed.definition_version)
LEFT JOIN audit.ledger AS entry ON entry.seq = changed.valid_to_seq
LEFT JOIN registry.settlement AS settlement ON changed.area_kind = 'settlement' AND settlement.kato = changed.area
LEFT JOIN registry.region AS region ON changed.area_kind = 'region' AND region.kato = changed.area
LEFT JOIN registry.item7_group AS item7_group
    ON changed.area_kind = 'group' AND item7_group.item7_group = changed.area
LEFT JOIN registry.unit AS unit ON unit.unit = definition.unit
LEFT JOIN registry.obs_status AS former_status ON former_status.obs_status = changed.obs_status
LEFT JOIN registry.obs_status AS status ON status.obs_status = cell.obs_status
LEFT JOIN registry.message AS message ON message.message = cell.reason
