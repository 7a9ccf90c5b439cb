-- One row per key of the suspected deliveries that was not met before and has a twin: the first twin by name and
-- why it is one, and the other deliveries that have brought a twin. Rows that the delivery replaces are nobody's
-- twins.
WITH identified AS (
    SELECT
        delivery_id,
        kato,
        ${key},
        min(row_no) AS row_no,
        TRUE AS is_new
    FROM work_staged_row
    WHERE broken IS NULL AND delivery_id IN (${suspects}, ${others})
    GROUP BY ALL
    UNION ALL
    SELECT DISTINCT
        delivery_id,
        kato,
        ${key},
        NULL AS row_no,
        FALSE AS is_new
    FROM ${showcase_table}
    WHERE delivery_id IN (${others})
),

spelled AS (
    SELECT
        identified.*,
        delivery.system,
        delivery.scope,
        delivery.period_start,
        delivery.period_end,
        ${spelling} AS shown,
        ${one_case} AS without_case,
        ${no_zeros} AS without_zeros,
        hash(${folded}) AS folded
    FROM identified
    INNER JOIN audit.delivery AS delivery ON identified.delivery_id = delivery.delivery_id
),

met_before AS (
    SELECT DISTINCT
        system,
        kato,
        shown
    FROM spelled
    WHERE NOT is_new
),

arriving AS (
    SELECT *
    FROM spelled
    WHERE
        is_new
        AND delivery_id IN (${suspects})
        AND (system, kato, shown) NOT IN (FROM met_before)
)

SELECT
    arriving.delivery_id,
    arriving.shown,
    arriving.row_no,
    min(twin.shown) AS twin,
    arg_min(twin.row_no, twin.shown) FILTER (WHERE twin.delivery_id = arriving.delivery_id) AS row_of_twin,
    arg_min(
        CASE
            WHEN twin.without_case = arriving.without_case THEN 'differs.letter_case'
            WHEN twin.without_zeros = arriving.without_zeros THEN 'differs.leading_zeros'
            ELSE 'differs.look_alikes'
        END,
        twin.shown
    ) AS differs_by,
    list(DISTINCT twin.delivery_id) FILTER (WHERE twin.delivery_id <> arriving.delivery_id) AS other_deliveries
FROM arriving
INNER JOIN spelled AS twin
    ON
        (twin.system, twin.kato, twin.folded) = (arriving.system, arriving.kato, arriving.folded)
        AND twin.shown <> arriving.shown
WHERE
    (
        twin.delivery_id < arriving.delivery_id
        OR (twin.delivery_id = arriving.delivery_id AND twin.row_no < arriving.row_no)
    )
    AND (
        twin.delivery_id = arriving.delivery_id
        OR twin.scope <> arriving.scope
        OR twin.period_start < arriving.period_start
        OR twin.period_end > arriving.period_end
    )
GROUP BY ALL
ORDER BY 1, 3
