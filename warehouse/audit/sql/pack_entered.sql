-- One row: whether the ledger has the assessment.
CREATE OR REPLACE TEMP TABLE entered AS
SELECT
    coalesce(bool_or(
        kind = 'assessed' AND subject = ${year} AND (detail ->> '$.assessment') = ${assessment}
    ), FALSE) AS in_ledger
FROM read_parquet('ledger.parquet')
WHERE seq = ${seq}
