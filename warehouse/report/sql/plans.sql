-- One row per target of a Strategy or Road map; without the fact, which pages take from where hidden values are held back.
SELECT
    target.kato,
    target.kpi_code,
    target.year,
    target.document_kind,
    target.document_id,
    target.document_version,
    target.approved_at,
    target.agreed_at,
    target.plan,
    target.delivery_id
FROM plan_beside_fact AS target
ORDER BY target.kato, target.kpi_code, target.year, target.document_kind
