-- one row per due cell over columns that a system does not deliver, and which
CREATE OR REPLACE TEMP TABLE work_undelivered_columns AS
SELECT
    kpi_code,
    version,
    kato,
    period_id,
    string_agg(DISTINCT lacks, '; ' ORDER BY lacks) AS lacking
FROM work_undelivered_column
GROUP BY ALL
