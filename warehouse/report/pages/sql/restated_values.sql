-- Published values that were replaced by others, newest first; `since`: by the release before this one it was still the former value
SELECT
    former.kpi_code,
    former.kato,
    former.period_id,
    CASE WHEN former.obs_status <> 'Q' THEN former.value END AS former_value,
    former.obs_status AS former_status,
    CASE WHEN present.obs_status <> 'Q' THEN present.value END AS value,
    present.obs_status,
    present.definition_version > former.definition_version AS by_definition,
    entry.recorded_at,
    former.valid_to_seq AS seq,
    former.valid_to_seq > ${since} AS since
FROM kpi.value AS former
JOIN kpi.value AS present
    ON
        (present.kpi_code, present.kato, present.period_id) = (former.kpi_code, former.kato, former.period_id)
        AND present.valid_from_seq = former.valid_to_seq
JOIN audit.ledger AS entry ON entry.seq = former.valid_to_seq
WHERE
    former.valid_to_seq IS NOT NULL
    AND former.kpi_code NOT IN (SELECT code FROM registry.kpi WHERE sensitivity = 'restricted')
ORDER BY former.valid_to_seq DESC, former.kpi_code, former.kato, former.period_id
