-- One row per ledger row: whether it follows from the one before it.
CREATE OR REPLACE TEMP TABLE chain AS
SELECT
    seq,
    hash,
    seq = row_number() OVER (ORDER BY seq)
    AND prev_hash = lag(hash, 1, repeat('0', 64)) OVER (ORDER BY seq)
    AND hash = sha256(
        '[' || seq || ',' || epoch_us(recorded_at) || ',' || json_text(kind) || ',' || json_text(subject) || ','
        || coalesce(json_text(run_id), 'null') || ',' || json_text(detail) || ',' || json_text(prev_hash) || ']'
    ) AS holds
FROM read_parquet('ledger.parquet')
