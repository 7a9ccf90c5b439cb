-- one row per version of the KPIs registered at a sequence, with the days it was in force by what was known then
SELECT
    kpi.definition,
    kpi.catalogue_version,
    greatest(kpi.valid_from, catalogue.valid_from) AS starts,
    least(
        coalesce(
            CASE WHEN ended.seq IS NULL THEN (kpi.definition ->> '$.valid_to')::DATE ELSE kpi.valid_to END,
            DATE '9999-12-31'
        ),
        coalesce(catalogue.valid_to, DATE '9999-12-31')
    ) AS ends
FROM registry.kpi AS kpi
LEFT JOIN registry.catalogue AS catalogue ON kpi.catalogue_id = catalogue.catalogue_id
LEFT JOIN (
    SELECT
        subject,
        min(seq) AS seq
    FROM audit.ledger
    WHERE kind = 'definition-ended' AND seq <= ${seq}
    GROUP BY subject
) AS ended ON ended.subject = kpi.kpi_code || '@' || kpi.definition_version
WHERE kpi.registered_seq <= ${seq} AND kpi.kpi_code IN (${codes})
ORDER BY kpi.kpi_code, kpi.definition_version
