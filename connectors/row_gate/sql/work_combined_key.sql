-- one row per delivery and key that several records have: what they make together, or the rule that forbids it
CREATE OR REPLACE TEMP TABLE work_combined_key AS
WITH records AS (  -- noqa: ST03
    SELECT
        delivery_no,
        ${key},
        count(*) AS records,
        min(rowid) AS first_rowid,
        count(broken) > 0 AS incomplete,
        flatten(list(emptied ORDER BY rowid) FILTER (emptied IS NOT NULL)) AS cells${measures}
    FROM ${stage}
    WHERE ${some_key} AND NOT ${left_out}
    GROUP BY delivery_no, ${key}
    HAVING count(*) > 1
),

combined AS (
    SELECT
        records.delivery_no,
        records.first_rowid,
        records.records,
        ${key_of_records},
        ${emptied_cells} AS emptied,
        ${first_doubt} AS doubt${values}
    FROM records${joins}
)

SELECT
    * EXCLUDE (doubt),
    coalesce(doubt, ${broken_rule}) AS rule
FROM combined
