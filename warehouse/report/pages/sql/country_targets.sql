-- Targets of a year beside their facts, counted by sphere: met and missed only where the bounds leave no doubt
WITH judged AS (
    SELECT
        kpi.sphere,
        beside.document_kind,
        beside.kato,
        beside.fact,
        CASE WHEN beside.direction = 'higher' THEN 1 ELSE -1 END AS sign,
        sign * (beside.fact - beside.plan::DOUBLE) AS ahead,
        -- at the worse and at the better of its bounds
        least(sign * (beside.fact_low - beside.plan::DOUBLE), sign * (beside.fact_high - beside.plan::DOUBLE)) AS worst,
        greatest(sign * (beside.fact_low - beside.plan::DOUBLE), sign * (beside.fact_high - beside.plan::DOUBLE))
            AS best,
        abs(beside.plan::DOUBLE) * ${near} AS near
    FROM public_plan_beside_fact AS beside
    JOIN (
        SELECT DISTINCT
            kpi_code,
            sphere
        FROM registry.kpi
    ) AS kpi USING (kpi_code)
    WHERE beside.year = ${year}
)

SELECT
    sphere,
    document_kind,
    count(*) AS targets,
    count(*) FILTER (WHERE ahead >= 0 AND coalesce(worst >= 0, TRUE)) AS met,
    count(*) FILTER (WHERE (ahead < 0 AND coalesce(best >= 0, FALSE)) OR (ahead >= 0 AND worst < 0)) AS undecided,
    count(*) FILTER (WHERE ahead < 0 AND coalesce(best < 0, TRUE) AND ahead >= -near) AS near,
    count(*) FILTER (WHERE ahead < 0 AND coalesce(best < 0, TRUE) AND ahead < -near) AS missed,
    count(*) FILTER (WHERE fact IS NULL) AS unknown
FROM judged
GROUP BY sphere, document_kind
ORDER BY document_kind, sphere
