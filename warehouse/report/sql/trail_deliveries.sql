-- One row per delivery that a published value names, with its checks. `told`: a value that is shown counts on it, so
-- its rows may be told too; of one that hidden values alone are made of, they might be the value.
WITH checked AS (
    SELECT
        delivery_id,
        count(*) AS judged,
        count(*) FILTER (WHERE passed) AS passed,
        string_agg(rule, ', ' ORDER BY rule) FILTER (WHERE NOT passed) AS failed
    FROM audit.check_result
    GROUP BY delivery_id
)

SELECT
    delivery.delivery_id,
    delivery.table_name,
    delivery.file_name,
    delivery.sha256,
    delivery.period_id,
    delivery.system,
    delivery.scope,
    delivery.state,
    named.told,
    CASE WHEN named.told THEN delivery.received_rows END AS received_rows,
    CASE WHEN named.told THEN delivery.accepted_rows END AS accepted_rows,
    CASE WHEN named.told THEN delivery.rejected_rows END AS rejected_rows,
    coalesce(checked.judged, 0) AS judged,
    coalesce(checked.passed, 0) AS passed,
    coalesce(checked.failed, '') AS failed
FROM deliveries AS delivery
INNER JOIN (
    SELECT
        cell_delivery.delivery_id,
        bool_or(cell.obs_status <> ${suppressed}) AS told
    FROM work_cell_delivery AS cell_delivery
    INNER JOIN public_values AS cell USING (kpi_code, kato, period_id)
    GROUP BY cell_delivery.delivery_id
) AS named USING (delivery_id)
LEFT JOIN checked USING (delivery_id)
ORDER BY delivery.delivery_id
