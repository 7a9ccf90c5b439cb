-- Year values against those of the year before, by sphere: better or worse only where the bounds of both lie apart
SELECT
    definition.sphere,
    count(*) FILTER (WHERE moved.same_definition AND moved.beyond_bounds AND moved.movement = 'better') AS better,
    count(*) FILTER (WHERE moved.same_definition AND moved.beyond_bounds AND moved.movement = 'worse') AS worse,
    count(*) FILTER (WHERE moved.same_definition AND NOT moved.beyond_bounds) AS within,
    -- made by another definition, the two years are not the same thing
    count(*) FILTER (WHERE NOT coalesce(moved.same_definition, false)) AS broken
FROM (
    SELECT
        *,
        'B' NOT IN (obs_status, former_obs_status) AND same_definition AS same_definition
    FROM year_on_year
    WHERE grain = 'A' AND year = ${year}
) AS moved
JOIN (
    SELECT DISTINCT
        kpi_code,
        sphere
    FROM registry.kpi
) AS definition USING (kpi_code)
GROUP BY definition.sphere
ORDER BY definition.sphere
