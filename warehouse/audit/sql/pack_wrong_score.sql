-- One row per item whose value is not the year's, or whose score does not follow from its value.
CREATE OR REPLACE TEMP TABLE wrong_score AS
SELECT
    kato,
    kpi_code,
    score,
    score_again
FROM item
WHERE
    (value IS NOT NULL AND value IS DISTINCT FROM year_value)
    OR (score IS NULL) <> (score_again IS NULL)
    OR abs(score - score_again) > ${tolerance}
