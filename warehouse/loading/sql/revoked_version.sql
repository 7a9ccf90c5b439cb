-- the `candidate` number of each former version that a delivery took by the ledger sequence `since`.
-- A delivery during which the version held did not take it, but sent it again unchanged
SELECT version.candidate
FROM ${relation} AS version
JOIN audit.delivery AS earlier ON earlier.delivery_id = version.delivery_id
JOIN audit.delivery AS later
    ON
        later.table_name = ${table_name}
        AND later.state = 'loaded'
        AND later.loaded_seq <= version.since
        AND (later.loaded_seq > earlier.loaded_seq OR later.order_seq > earlier.order_seq)
        AND ${overlap}
WHERE ${takes} AND NOT (version.valid_from_seq < later.loaded_seq AND later.loaded_seq < version.valid_to_seq)
