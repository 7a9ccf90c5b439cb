-- One row per delivery that lacks units (stations, routes, settlements) which the delivery before it had: how
-- many, and the first by name.
WITH earlier_unit AS (
    SELECT * FROM ${earlier_units}
),

asked AS (
    SELECT * FROM ${pairs}
),

missing AS (
    SELECT
        asked.delivery_id,
        asked.earlier_id,
        ${unit},
        ${unit_name} AS named
    FROM asked
    INNER JOIN earlier_unit USING (earlier_id)
    ANTI JOIN work_unit_count USING (delivery_id, ${unit})
    WHERE earlier_unit.rows >= ${least}${has_name}
)

SELECT
    delivery_id,
    earlier_id,
    count(*) AS units,
    list(named ORDER BY named)[:${shown}] AS names
FROM missing
GROUP BY ALL
