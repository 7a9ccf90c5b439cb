-- One row per catalogue: the newest assessment of a year, or the one that held at a ledger sequence.
SELECT
    assessment_id,
    seq,
    year,
    catalogue_id AS catalogue,
    catalogue_version,
    rules_version,
    status,
    version,
    reason,
    as_of_seq,
    made_at,
    rules
FROM kpi.assessment
WHERE
    year::VARCHAR = ${assessed_year}
    AND (${catalogue_id} IS NULL OR catalogue_id = ${catalogue_id})
    AND seq <= coalesce(${at_seq}, seq)
QUALIFY
    row_number() OVER (
        PARTITION BY catalogue_id
        ORDER BY CASE WHEN ${at_seq} IS NULL THEN version END DESC, seq DESC
    ) = 1
ORDER BY catalogue_id
