-- Deliveries loaded and refused, and territories they came from, by table and month in which their period ends
SELECT
    table_name,
    closing_month,
    count(*) FILTER (WHERE state = 'loaded') AS loaded,
    count(*) FILTER (WHERE state = 'refused') AS refused,
    count(DISTINCT CASE WHEN state = 'loaded' THEN scope END) AS scopes,
    coalesce(sum(rejected_rows) FILTER (WHERE state = 'loaded'), 0) AS rejected_rows
FROM audit.delivery
GROUP BY table_name, closing_month
ORDER BY table_name, closing_month
