-- One row per system and territory: what occurs among the identifiers of its deliveries.
SELECT
    related.system,
    related.scope,
    bool_or(shape.foreign_letters) AS foreign_letters,
    bool_or(shape.small) AS small,
    bool_or(shape.capital) AS capital,
    bool_or(shape.zeros) AS zeros,
    min(shape.shortest) AS shortest,
    max(shape.longest) AS longest
FROM work_related_delivery AS related
INNER JOIN work_identifier_shape AS shape ON related.delivery_id = shape.delivery_id
WHERE shape.table_name = ${table_name}
GROUP BY related.system, related.scope
