-- One row per settlement with data, KPI and period, with the deliveries that the value names and, where it is shown,
-- their rows in it.
SELECT
    cell.kato,
    cell.kpi_code,
    cell.period_id,
    list(named.delivery_id ORDER BY named.delivery_id) AS delivery_ids,
    list(CASE WHEN cell.obs_status <> ${suppressed} THEN named.rows_used END ORDER BY named.delivery_id) AS rows_used
FROM public_values AS cell
INNER JOIN work_cell_delivery AS named USING (kpi_code, kato, period_id)
GROUP BY ALL
