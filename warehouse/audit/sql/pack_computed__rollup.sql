-- One row: the number by the definition's formula, from the sums.
CREATE OR REPLACE TEMP TABLE computed AS
SELECT
    CAST(${value_sql} AS DOUBLE) AS value,
    ${numerator_sql} AS numerator,
    ${denominator_sql} AS denominator,
    s AS sample,
    counted
FROM (SELECT *, ${top_sql} AS n, CAST(bottom AS DOUBLE) AS d FROM summed) AS parts
