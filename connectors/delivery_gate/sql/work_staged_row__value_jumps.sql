-- One row per figure of a delivery that jumps: the delivery, and what the message of the jump names. A figure is
-- compared with the one of the same key at the date before, and at the date after if that is not in the batch too.
-- One that is in the warehouse and is not in doubt has been taken before.
WITH brought AS (
    SELECT *
    FROM (
        SELECT
            ${key},
            ${date} AS day,
            sum(${value}) AS figure,
            delivery_id
        FROM work_staged_row
        WHERE broken IS NULL AND ${value} IS NOT NULL
        GROUP BY ALL
    ) AS staged_figure
    QUALIFY row_number() OVER (PARTITION BY ${key}, day ORDER BY delivery_id DESC) = 1
),

current_figure AS (
    SELECT
        ${key},
        ${date} AS day,
        sum(${value}) AS figure,
        bool_or(EXISTS (
            SELECT 1
            FROM audit.incident AS incident
            INNER JOIN audit.delivery AS delivery ON delivery.delivery_id = showcase_row.delivery_id
            WHERE
                incident.table_name = ${table_name}
                AND incident.rule = ${rule}
                AND incident.closed_seq IS NULL
                AND (incident.system, incident.scope, incident.period_id)
                = (delivery.system, delivery.scope, delivery.period_id)
        )) AS in_doubt
    FROM ${showcase_table} AS showcase_row
    WHERE ${value} IS NOT NULL AND kato IN (SELECT kato FROM brought)
    GROUP BY ALL
),

line AS (
    SELECT
        ${key},
        day,
        brought.figure,
        brought.delivery_id,
        coalesce(current_figure.figure = brought.figure AND NOT current_figure.in_doubt, FALSE) AS taken_before
    FROM brought
    LEFT JOIN current_figure USING (${key}, day)
    UNION ALL
    SELECT
        ${key},
        day,
        current_figure.figure,
        NULL AS delivery_id,
        TRUE AS taken_before
    FROM current_figure
    ANTI JOIN brought USING (${key}, day)
),

neighbours AS (
    SELECT
        *,
        lag(figure) OVER by_day AS value_before,
        lag(day) OVER by_day AS day_before,
        lead(figure) OVER by_day AS value_after,
        lead(day) OVER by_day AS day_after,
        lead(delivery_id) OVER by_day AS delivery_after
    FROM line
    WINDOW by_day AS (PARTITION BY ${key} ORDER BY day)
),

compared AS (
    SELECT
        *,
        ${jumps_from_before} AS from_before,
        (${jumps_to_after}) AND delivery_after IS NULL AS to_after
    FROM neighbours
)

SELECT
    delivery_id,
    'jump.after' AS code,
    ${named} AS what,
    cast(day AS VARCHAR) AS day_of_figure,
    cast(figure AS VARCHAR) AS figure_text,
    cast(value_before AS VARCHAR) AS other,
    cast(day_before AS VARCHAR) AS other_day
FROM compared
WHERE NOT taken_before AND from_before
UNION ALL
SELECT
    delivery_id,
    'jump.before' AS code,
    ${named} AS what,
    cast(day AS VARCHAR) AS day_of_figure,
    cast(figure AS VARCHAR) AS figure_text,
    cast(value_after AS VARCHAR) AS other,
    cast(day_after AS VARCHAR) AS other_day
FROM compared
WHERE NOT taken_before AND to_after AND from_before IS NOT TRUE
ORDER BY delivery_id, what, day_of_figure, code
