-- One version of a KPI's definition with its case passport and its catalogue.
SELECT
    definition.definition_version AS version,
    definition.definition_hash AS hash,
    definition.valid_from,
    definition.valid_to,
    definition.definition ->> '$.approved_by' AS approved_by,
    definition.definition ->> '$.change_note' AS change_note,
    definition.catalogue_id AS catalogue,
    definition.catalogue_version,
    definition.catalogue_status,
    list.legal_basis,
    definition.definition ->> '$.description.en' AS description_en,
    definition.definition ->> '$.description.ru' AS description_ru,
    definition.definition ->> '$.description.kk' AS description_kk,
    passport.calculation AS formula,
    passport.source,
    passport.standards
FROM registry.kpi AS definition
JOIN registry.catalogue AS list ON list.catalogue_id = definition.catalogue_id
JOIN registry.case_passport AS passport
    ON (passport.kpi_code, passport.definition_version) = (definition.kpi_code, definition.definition_version)
WHERE definition.kpi_code = ${kpi_code} AND definition.definition_version = ${version}
