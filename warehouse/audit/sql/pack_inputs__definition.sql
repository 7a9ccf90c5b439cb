-- One row: the definition's fingerprint against the ledger row of its registration.
INSERT INTO inputs
SELECT
    'definition ' || definition.code || '@' || definition.version AS what,
    definition.fingerprint,
    ledger.seq AS ledger_row,
    coalesce(CASE
        WHEN
            ledger.kind = 'definition' AND ledger.subject = definition.code || '@' || definition.version
            AND json_valid(ledger.detail) THEN (ledger.detail ->> '$.hash') = definition.fingerprint
    END, FALSE) AS in_ledger
FROM
    read_json('definition.json', columns = {
        code: 'VARCHAR', version: 'BIGINT', fingerprint: 'VARCHAR', registered_seq: 'BIGINT'
    }) AS definition
LEFT JOIN read_parquet('ledger.parquet') AS ledger ON definition.registered_seq = ledger.seq
