-- deliveries of each table and system by state, with their bytes and rows
SELECT
    table_name,
    system,
    state,
    count(*) AS deliveries,
    sum(bytes)::BIGINT AS bytes,
    coalesce(sum(received_rows), 0)::BIGINT AS received,
    coalesce(sum(accepted_rows), 0)::BIGINT AS accepted,
    coalesce(sum(rejected_rows), 0)::BIGINT AS rejected
FROM audit.delivery
GROUP BY ALL
ORDER BY ALL
