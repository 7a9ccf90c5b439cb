-- One row per KPI of the newest year, over the settlements that have any value: counts, range, and the country's value.
SELECT
    year_value.kpi_code,
    any_value(kpi.name_en) AS name,
    any_value(kpi.unit) AS unit,
    count(year_value.value) AS counted,
    count(*) FILTER (WHERE year_value.obs_status <> ${not_applicable}) AS applicable,
    min(year_value.value) AS lowest,
    median(year_value.value) AS median_value,
    max(year_value.value) AS highest,
    any_value(country.value) AS of_country
FROM year_values AS year_value
INNER JOIN (
    SELECT *
    FROM registry.kpi
    QUALIFY row_number() OVER (PARTITION BY kpi_code ORDER BY definition_version DESC) = 1
) AS kpi ON year_value.kpi_code = kpi.kpi_code
LEFT JOIN rollups AS country
    ON
        year_value.kpi_code = country.kpi_code
        AND country.area_kind = 'country'
        AND country.grain = 'A'
        AND year_value.year = country.year
WHERE
    year_value.year = (SELECT max(year) FROM year_values)
    AND year_value.kato IN (SELECT DISTINCT kato FROM kpi.value WHERE value IS NOT NULL)
GROUP BY year_value.kpi_code
ORDER BY year_value.kpi_code
