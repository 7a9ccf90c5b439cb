-- one row per loaded delivery of the tables that KPIs read, as known at a sequence; replaced: a later one for the
-- same slice took its place
CREATE OR REPLACE TEMP TABLE work_loaded_delivery AS
SELECT
    delivery_id,
    table_name,
    system,
    scope,
    period_start,
    period_end,
    unmapped,
    kind,
    cut_by,
    order_seq,
    rejected_rows,
    kind <> 'changes'
    AND loaded_seq < max(loaded_seq) OVER (PARTITION BY table_name, system, scope, period_start, period_end) AS replaced
FROM audit.delivery
WHERE state = 'loaded' AND loaded_seq <= ${seq} AND table_name IN (${tables})
