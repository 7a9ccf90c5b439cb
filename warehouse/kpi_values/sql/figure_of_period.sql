-- one row per KPI and period asked for, of the values in force
SELECT
    figures.kpi_code,
    figures.period_id,
    figures.cells,
    figures.states,
    figures.with_value,
    figures.median,
    figures.least,
    figures.greatest,
    country.value AS country
FROM (
    SELECT
        by_state.kpi_code,
        by_state.period_id,
        sum(by_state.cells)::BIGINT AS cells,
        map_from_entries(list((by_state.state, by_state.cells) ORDER BY by_state.state)) AS states,
        sum(len(by_state.found))::BIGINT AS with_value,
        list_median(flatten(list(by_state.found))) AS median,
        list_min(flatten(list(by_state.found))) AS least,
        list_max(flatten(list(by_state.found))) AS greatest
    FROM (
        SELECT
            kpi_code,
            period_id,
            state,
            count(*) AS cells,
            coalesce(list(value) FILTER (WHERE value IS NOT NULL), []) AS found
        FROM kpi.value
        WHERE valid_to_seq IS NULL AND (kpi_code, period_id) IN (SELECT (kpi_code, period_id) FROM ${asked})
        GROUP BY ALL
    ) AS by_state
    GROUP BY ALL
) AS figures
LEFT JOIN kpi.rollup AS country
    ON
        figures.kpi_code = country.kpi_code
        AND figures.period_id = country.period_id
        AND country.area_kind = 'country'
        AND country.valid_to_seq IS NULL
