-- KPIs of the newest assessment of every year by settlement: value, weight, score and why one is not calculable;
-- restricted KPIs are left out
SELECT
    assessment.year,
    assessment.catalogue_id,
    assessment.assessment_id,
    item.kato,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru,
    settlement.name_kk AS settlement_kk,
    item.kpi_code,
    definition.name_en AS kpi_name_en,
    definition.name_ru AS kpi_name_ru,
    definition.name_kk AS kpi_name_kk,
    definition.initiative,
    definition.sphere,
    item.calculable,
    item.value,
    definition.unit,
    unit.symbol AS unit_symbol,
    unit.name_en AS unit_en,
    unit.name_ru AS unit_ru,
    unit.name_kk AS unit_kk,
    status.state,
    status.name_en AS state_en,
    status.name_ru AS state_ru,
    status.name_kk AS state_kk,
    item.obs_status,
    item.weight,
    item.score,
    item.score_low,
    item.score_high,
    message.code AS reason_code,
    coalesce(message.text_en, item.reason) AS reason_en,
    coalesce(message.text_ru, item.reason) AS reason_ru,
    coalesce(message.text_kk, item.reason) AS reason_kk
FROM kpi.assessment_item AS item
JOIN (
    SELECT *
    FROM kpi.assessment
    QUALIFY row_number() OVER (PARTITION BY year, catalogue_id ORDER BY version DESC) = 1
) AS assessment USING (assessment_id)
JOIN (
    SELECT *
    FROM registry.kpi
    QUALIFY row_number() OVER (PARTITION BY kpi_code ORDER BY definition_version DESC) = 1
) AS definition USING (kpi_code)
JOIN registry.settlement AS settlement USING (kato)
LEFT JOIN registry.unit AS unit ON unit.unit = definition.unit
LEFT JOIN registry.obs_status AS status ON status.obs_status = item.obs_status
LEFT JOIN registry.message AS message ON message.message = item.reason
WHERE definition.sensitivity <> 'restricted'
