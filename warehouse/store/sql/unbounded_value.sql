-- one row per value that its bounds do not hold, or that has other bounds though no row of it is uncertain.
-- The bounds themselves are worked out again by `qala reperform`
SELECT
    kpi_code,
    kato,
    period_id,
    value,
    value_low,
    value_high
FROM kpi.value
WHERE
    value_low > value
    OR value_high < value
    OR (value_low IS NULL) <> (value_high IS NULL)
    OR (value IS NULL AND value_low IS NOT NULL)
    OR (rejected_rows + gap_rows = 0 AND (value_low, value_high) IS DISTINCT FROM (value, value))
ORDER BY ALL
