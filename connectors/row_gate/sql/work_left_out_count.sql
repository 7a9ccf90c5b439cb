-- one row per delivery and rule by which rows of it are left out, with the first records
INSERT INTO work_left_out_count
SELECT
    ${delivery} AS delivery_id,
    broken AS rule,
    count(*) AS rows,
    NULL AS keys,
    min(${record}, ${shown}) AS records
FROM ${stage}
WHERE ${left_out}
GROUP BY ALL
