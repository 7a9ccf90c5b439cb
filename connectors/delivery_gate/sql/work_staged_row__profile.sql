-- One row per delivery: what the delivery gate judges, see profile.py for the columns.
WITH counted AS (
    SELECT
        delivery_id,
        count(*) AS taken,
        count(broken) AS rejected,
        count(*) FILTER (WHERE broken = ${duplicate}) AS duplicates,
        count(*) FILTER (WHERE broken = ${repeated}) AS repeated${measures}
    FROM work_staged_row
    GROUP BY delivery_id
),

left_out AS (
    SELECT
        delivery_id,
        cast(sum(rows) AS BIGINT) AS rows
    FROM work_left_out_count
    GROUP BY delivery_id
),

-- the last 12 loads of the system and territory whose period is of like length
earlier AS (
    SELECT
        scope,
        system,
        accepted_rows + rejected_rows AS taken_rows,
        period_end - period_start AS days
    FROM audit.delivery
    WHERE state = 'loaded' AND table_name = ${table_name}
    QUALIFY row_number() OVER (PARTITION BY scope, system ORDER BY loaded_seq DESC) <= 12
),

usual AS (
    SELECT
        declared.delivery_id,
        median(earlier.taken_rows) AS rows
    FROM work_declared_count AS declared
    INNER JOIN audit.delivery AS delivery ON declared.delivery_id = delivery.delivery_id
    INNER JOIN earlier
        ON
            (earlier.scope, earlier.system) = (delivery.scope, delivery.system)
            AND abs(earlier.days - (delivery.period_end - delivery.period_start)) <= 3
    GROUP BY declared.delivery_id
)

SELECT
    declared.delivery_id,
    coalesce(counted.taken, 0) + coalesce(left_out.rows, 0) AS received,
    coalesce(counted.taken - counted.rejected, 0) AS accepted,
    coalesce(counted.rejected, 0) AS rejected,
    coalesce(
        100.0 * (counted.rejected - counted.duplicates) / nullif(counted.taken - counted.duplicates, 0), 0
    ) AS rejected_percent,
    coalesce(100.0 * counted.repeated / nullif(counted.taken - counted.duplicates, 0), 0) AS duplicate_percent,
    -- records: a record that cannot be split is one row, any other as many as the contract makes of it
    (coalesce(counted.taken, 0) + coalesce(left_out.rows, 0) - declared.unreadable) // declared.rows_of_record
    + declared.unreadable - declared.declared_rows AS manifest_difference,
    coalesce(counted.taken, 0) / nullif(usual.rows, 0) AS volume_ratio,
    ${days_late} AS late_days,
    ${measures_of_table}
FROM work_declared_count AS declared
LEFT JOIN audit.delivery AS delivery ON declared.delivery_id = delivery.delivery_id
LEFT JOIN counted ON declared.delivery_id = counted.delivery_id
LEFT JOIN left_out ON declared.delivery_id = left_out.delivery_id
LEFT JOIN usual ON declared.delivery_id = usual.delivery_id
ORDER BY declared.delivery_id
