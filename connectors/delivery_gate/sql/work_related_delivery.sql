-- One row per delivery that may hold the other twin: loaded or of this batch, of the same system as one of the
-- batch, and of a territory that meets one of theirs.
CREATE OR REPLACE TEMP TABLE work_related_delivery AS
SELECT
    other.delivery_id,
    other.system,
    other.scope
FROM audit.delivery AS other
WHERE
    other.table_name = ${table_name}
    AND (other.state = 'loaded' OR other.delivery_id IN (${batch}))
    AND EXISTS (
        SELECT 1
        FROM (SELECT DISTINCT system, scope FROM audit.delivery WHERE delivery_id IN (${batch})) AS arriving
        WHERE
            arriving.system = other.system
            AND (
                'KZ' IN (other.scope, arriving.scope)
                OR starts_with(other.scope, arriving.scope)
                OR starts_with(arriving.scope, other.scope)
            )
    )
