-- One row: the ledger's head, its first broken row, and whether it is intact up to the head of this pack.
CREATE OR REPLACE TEMP TABLE ledger AS
SELECT
    count(*) AS rows,
    min(seq) FILTER (WHERE holds IS NOT TRUE) AS first_broken_row,
    max(seq) || ':' || arg_max(hash, seq) AS head,
    ${head} AS head_of_this_pack,
    coalesce(bool_and(holds IS TRUE) AND head = head_of_this_pack, FALSE) AS ledger_intact
FROM chain
