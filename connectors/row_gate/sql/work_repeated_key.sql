-- One row per accepted row whose key occurs again, in its own delivery (in_one_delivery) or in another one of the
-- batch. Few keys do: they are found by a hash of the key, and only their rows are looked at.
CREATE OR REPLACE TEMP TABLE work_repeated_key AS
SELECT
    delivery_id,
    row_no,
    ${key},
    stage_table,
    stage_rowid,
    count(*) OVER (PARTITION BY delivery_id, ${key}) > 1 AS in_one_delivery
FROM work_read_row
WHERE
    broken IS NULL
    AND hash(${key}) IN (
        SELECT key_hash
        FROM (SELECT hash(${key}) AS key_hash FROM work_read_row WHERE broken IS NULL) AS hashed
        GROUP BY key_hash
        HAVING count(*) > 1
    )
