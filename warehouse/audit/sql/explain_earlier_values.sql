-- One row per earlier value of a cell, newest first; next_as_of: as of which sequence the next one was computed.
SELECT
    value,
    numerator,
    denominator,
    state,
    reason,
    definition_version,
    as_of_seq,
    computed_at,
    valid_to_seq,
    lead(as_of_seq) OVER (ORDER BY valid_from_seq) AS next_as_of
FROM kpi.value
WHERE kpi_code = ${code} AND kato = ${kato} AND period_id = ${period_id}
QUALIFY valid_to_seq <= ${last_seq}
ORDER BY valid_from_seq DESC
