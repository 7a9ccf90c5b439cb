-- One row per step after a ledger sequence: what one run did with one table or KPI, or a release.
SELECT
    CASE WHEN delivery.delivery_id IS NULL THEN ledger.kind ELSE 'load' END AS kind,
    coalesce(delivery.table_name, ledger.subject) AS subject,
    ledger.run_id,
    min(ledger.seq) AS first,
    max(ledger.seq) AS last,
    arg_min(ledger.hash, ledger.seq) AS first_hash,
    arg_max(ledger.hash, ledger.seq) AS last_hash,
    min(ledger.recorded_at) AS started,
    max(ledger.recorded_at) AS ended,
    arg_max(ledger.detail, ledger.seq) AS detail
FROM audit.ledger AS ledger
LEFT JOIN audit.delivery AS delivery ON ledger.seq = delivery.loaded_seq
WHERE delivery.delivery_id IS NOT NULL OR ledger.kind IN ('computed', 'released')
-- without a Dagster run, the decisions of one load are those recorded at one moment
GROUP BY
    CASE WHEN delivery.delivery_id IS NULL THEN ledger.kind ELSE 'load' END,
    coalesce(delivery.table_name, ledger.subject),
    ledger.run_id,
    CASE
        WHEN delivery.delivery_id IS NULL THEN ledger.seq
        WHEN ledger.run_id IS NULL THEN epoch_us(ledger.recorded_at)
    END
HAVING max(ledger.seq) > ${since}
ORDER BY max(ledger.seq)
