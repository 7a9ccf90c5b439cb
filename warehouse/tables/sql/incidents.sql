-- Journal of data quality incidents
SELECT
    incident.incident_id,
    incident.delivery_id,
    incident.table_name,
    showcase_table.name_en AS table_en,
    showcase_table.name_ru AS table_ru,
    showcase_table.name_kk AS table_kk,
    incident.system,
    incident.scope,
    coalesce(settlement.name_en, region.name_en, ${country_en}) AS scope_en,
    coalesce(settlement.name_ru, region.name_ru, ${country_ru}) AS scope_ru,
    coalesce(settlement.name_kk, region.name_kk, ${country_kk}) AS scope_kk,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru,
    settlement.name_kk AS settlement_kk,
    incident.period_id,
    incident.rule,
    rule.description_en AS rule_en,
    rule.description_ru AS rule_ru,
    rule.description_kk AS rule_kk,
    incident.criterion,
    criterion.name_en AS criterion_en,
    criterion.name_ru AS criterion_ru,
    criterion.name_kk AS criterion_kk,
    incident.kind,
    coalesce(observed.text_en, incident.observed) AS observed_en,
    coalesce(observed.text_ru, incident.observed) AS observed_ru,
    coalesce(observed.text_kk, incident.observed) AS observed_kk,
    coalesce(expected.text_en, incident.expected) AS expected_en,
    coalesce(expected.text_ru, incident.expected) AS expected_ru,
    coalesce(expected.text_kk, incident.expected) AS expected_kk,
    CASE WHEN incident.closed_seq IS NULL THEN 'open' ELSE 'closed' END AS status,
    status_said.name_en AS status_en,
    status_said.name_ru AS status_ru,
    status_said.name_kk AS status_kk,
    incident.opened_seq,
    incident.opened_at,
    incident.closed_seq,
    incident.closed_at,
    incident.closed_by,
    coalesce(closing.text_en, incident.closing_reason) AS closing_reason_en,
    coalesce(closing.text_ru, incident.closing_reason) AS closing_reason_ru,
    coalesce(closing.text_kk, incident.closing_reason) AS closing_reason_kk
FROM audit.incident AS incident
LEFT JOIN registry.settlement AS settlement ON settlement.kato = incident.scope
LEFT JOIN registry.region AS region ON region.kato[:2] = incident.scope
LEFT JOIN registry.showcase_table AS showcase_table ON showcase_table.table_name = incident.table_name
LEFT JOIN registry.criterion AS criterion ON criterion.criterion = incident.criterion
LEFT JOIN registry.message AS observed ON observed.message = incident.observed
LEFT JOIN registry.message AS expected ON expected.message = incident.expected
LEFT JOIN registry.message AS closing ON closing.message = incident.closing_reason
LEFT JOIN registry.rule AS rule ON (rule.table_name, rule.rule) = (incident.table_name, incident.rule)
LEFT JOIN registry.code_list AS status_said
    ON
        status_said.list = 'incident_status'
        AND status_said.code = CASE WHEN incident.closed_seq IS NULL THEN 'open' ELSE 'closed' END
