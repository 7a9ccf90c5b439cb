-- One row: the number by the definition's own SQL.
CREATE OR REPLACE TEMP TABLE computed AS
SELECT
    CAST(${value_sql} AS DOUBLE) AS value,
    ${numerator_sql} AS numerator,
    ${denominator_sql} AS denominator,
    s AS sample
FROM (
    SELECT
        top,
        bottom,
        CAST(top AS DOUBLE) AS n,
        CAST(bottom AS DOUBLE) AS d,
        s,
        ${kpi_scale} AS scale,
        ${kpi_kind} AS kind
    FROM (SELECT ${top_sql} AS top, ${bottom_sql} AS bottom, COALESCE(${sample_sql}, 0) AS s) AS sums
) AS parts
