-- Journal of data quality incidents
SELECT
    incident.*,
    CASE WHEN closed_seq IS NULL THEN 'open' ELSE 'closed' END AS status,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru
FROM audit.incident AS incident
LEFT JOIN registry.settlement AS settlement ON settlement.kato = incident.scope
