-- Targets of Strategy and Road map (item 11) beside the year's value; the plan is never part of a computed value
WITH newest AS (
    SELECT *
    FROM showcase.fct_kpi_target
    QUALIFY row_number() OVER (
        PARTITION BY kato, kpi_code, target_year, document_kind
        ORDER BY agreed_at IS NOT NULL DESC, document_version DESC, approved_at DESC
    ) = 1
)

SELECT
    target.kato,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru,
    settlement.name_kk AS settlement_kk,
    settlement.item7_group,
    target.kpi_code,
    definition.name_en AS kpi_name_en,
    definition.name_ru AS kpi_name_ru,
    definition.name_kk AS kpi_name_kk,
    target.target_year AS year,
    target.document_kind,
    document_kind_said.name_en AS document_kind_en,
    document_kind_said.name_ru AS document_kind_ru,
    document_kind_said.name_kk AS document_kind_kk,
    target.document_id,
    target.document_version,
    target.approved_at,
    target.agreed_at,
    target.baseline_year,
    target.baseline_value,
    target.target_value AS plan,
    fact.value AS fact,
    fact.value_low AS fact_low,
    fact.value_high AS fact_high,
    definition.unit,
    unit.symbol AS unit_symbol,
    unit.name_en AS unit_en,
    unit.name_ru AS unit_ru,
    unit.name_kk AS unit_kk,
    definition.direction,
    direction.name_en AS direction_en,
    direction.name_ru AS direction_ru,
    direction.name_kk AS direction_kk,
    fact.state,
    fact.state_en,
    fact.state_ru,
    fact.state_kk,
    fact.obs_status,
    fact.reason_code,
    fact.reason_en,
    fact.reason_ru,
    fact.reason_kk,
    round(
        (fact.value - target.baseline_value::DOUBLE)
        / nullif(target.target_value - target.baseline_value, 0)::DOUBLE * 1000000
    ) / 1000000 AS progress,
    definition.sensitivity,
    target.delivery_id
FROM newest AS target
JOIN registry.settlement AS settlement USING (kato)
LEFT JOIN (
    SELECT *
    FROM registry.kpi
    QUALIFY row_number() OVER (PARTITION BY kpi_code ORDER BY definition_version DESC) = 1
) AS definition ON definition.kpi_code = target.kpi_code
LEFT JOIN registry.unit AS unit ON unit.unit = definition.unit
LEFT JOIN registry.direction AS direction ON direction.direction = definition.direction
LEFT JOIN year_values AS fact
    ON (fact.kpi_code, fact.kato, fact.year) = (target.kpi_code, target.kato, target.target_year)
LEFT JOIN registry.code_list AS document_kind_said
    ON document_kind_said.list = 'document_kind' AND document_kind_said.code = target.document_kind
