-- one row per earlier delivery and delivery of the turn that can take rows of it (adr/0020);
-- `resends`: it has the same slice as the earlier one
CREATE OR REPLACE TEMP TABLE work_taking_delivery AS
SELECT
    earlier.delivery_id,
    later.delivery_id AS new_delivery_id,
    later.seq,
    ${same_slice} AS resends
FROM audit.delivery AS earlier
JOIN work_decided_delivery AS later ON later.turn = ${turn} AND ${overlap}
WHERE earlier.table_name = ${table_name} AND earlier.state = 'loaded' AND earlier.loaded_seq < later.seq
