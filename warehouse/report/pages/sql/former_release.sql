-- The release before this one
SELECT
    seq,
    recorded_at
FROM audit.ledger
WHERE kind = 'released' AND seq < ${seq}
ORDER BY seq DESC
LIMIT 1
