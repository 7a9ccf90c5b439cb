-- Deliveries of what a value reads, for its settlement and days, that have no row in it.
INSERT INTO work_cell_delivery
SELECT
    cell.kpi_code,
    cell.kato,
    cell.period_id,
    delivery.delivery_id,
    0 AS rows_used
FROM work_trail_cell AS cell
INNER JOIN (${read}) AS reading USING (kpi_code, version)
INNER JOIN
    (
        SELECT
            coalesce(settlement.kato, delivery.scope) AS kato,
            delivery.table_name,
            delivery.period_start,
            delivery.period_end,
            delivery.delivery_id
        FROM audit.delivery AS delivery
        LEFT JOIN registry.settlement AS settlement
            ON delivery.scope = 'KZ' OR (length(delivery.scope) = 2 AND starts_with(settlement.kato, delivery.scope))
        WHERE delivery.state NOT IN ('duplicate', 'withdrawn')
    ) AS delivery
    ON
        reading.table_name = delivery.table_name
        AND cell.kato = delivery.kato
        AND delivery.period_start < cell.period_end
        AND delivery.period_end > cell.period_start
ANTI JOIN work_cell_delivery AS counted
    ON
        cell.kpi_code = counted.kpi_code
        AND cell.kato = counted.kato
        AND cell.period_id = counted.period_id
        AND delivery.delivery_id = counted.delivery_id
