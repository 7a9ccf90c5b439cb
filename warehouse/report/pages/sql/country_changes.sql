-- Year values against those of the year before, counted by sphere: better or worse only where the bounds of both lie apart
WITH paired AS (
    SELECT
        present.sphere,
        CASE WHEN present.direction = 'higher' THEN 1 ELSE -1 END AS sign,
        sign * (present.value - former.value) AS gain,
        coalesce(present.value_low, present.value) > coalesce(former.value_high, former.value)
        OR coalesce(present.value_high, present.value) < coalesce(former.value_low, former.value) AS apart,
        -- over a break of the series the two years are not the same thing
        'B' IN (present.obs_status, former.obs_status)
        OR present.definition_version IS DISTINCT FROM former.definition_version AS broken
    FROM year_values AS present
    JOIN year_values AS former
        ON (former.kpi_code, former.kato, former.year) = (present.kpi_code, present.kato, ${former_year})
    WHERE
        present.year = ${year}
        AND present.kpi_code NOT IN (SELECT code FROM registry.kpi WHERE sensitivity = 'restricted')
        AND present.value IS NOT NULL
        AND former.value IS NOT NULL
)

SELECT
    sphere,
    count(*) FILTER (WHERE NOT broken AND apart AND gain > 0) AS better,
    count(*) FILTER (WHERE NOT broken AND apart AND gain < 0) AS worse,
    count(*) FILTER (WHERE NOT broken AND NOT apart) AS within,
    count(*) FILTER (WHERE broken) AS broken
FROM paired
GROUP BY sphere
ORDER BY sphere
