-- one row per delivery with keys of several records: how many rows they make fewer than there are records
INSERT INTO work_left_out_count
SELECT
    ${delivery} AS delivery_id,
    ${combined_rule} AS rule,
    cast(sum(records - 1) AS BIGINT) AS rows,
    count(*) AS keys,
    NULL AS records
FROM work_combined_key
WHERE rule IS NULL
GROUP BY ALL
