-- one row per due cell over columns that a system does not deliver, and which: a message, or a list of them
CREATE OR REPLACE TEMP TABLE work_undelivered_columns AS
SELECT
    kpi_code,
    version,
    kato,
    period_id,
    CASE
        WHEN count(DISTINCT lacks) = 1 THEN min(lacks)
        ELSE '[' || string_agg(DISTINCT lacks, ',' ORDER BY lacks) || ']'
    END AS lacking
FROM work_undelivered_column
GROUP BY ALL
