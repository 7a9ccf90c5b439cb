-- One row per compared delivery and earlier loaded one of its system whose days and territory meet its own without
-- being the same slice.
CREATE OR REPLACE TEMP TABLE work_overlapping_delivery AS
SELECT
    compared.delivery_id,
    earlier.delivery_id AS earlier_id,
    compared.scope,
    compared.period_start,
    compared.period_end
FROM work_compared_delivery AS compared
INNER JOIN audit.delivery AS earlier
    ON
        earlier.table_name = ${table_name}
        AND earlier.state = 'loaded'
        AND compared.system = earlier.system
        AND ${days_meet}
        AND earlier.delivery_id < compared.delivery_id
WHERE
    (earlier.scope, earlier.period_start, earlier.period_end)
    <> (compared.scope, compared.period_start, compared.period_end)
    AND (
        earlier.scope = compared.scope
        OR compared.scope = 'KZ'
        OR earlier.scope = 'KZ'
        OR starts_with(earlier.scope, compared.scope)
        OR starts_with(compared.scope, earlier.scope)
    )
