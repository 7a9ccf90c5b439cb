-- One row per row that its own delivery overrules, with the rule: rows of one key that differ are all rejected; of
-- rows that are equal throughout the first is kept.
CREATE OR REPLACE TEMP TABLE work_overruled_row AS
SELECT
    stage_table,
    stage_rowid,
    CASE
        WHEN min(whole_row) OVER same_key <> max(whole_row) OVER same_key THEN ${repeated}
        ELSE ${duplicate}
    END AS rule
FROM (
    SELECT
        read_row.*,
        cast(to_json(${record}) AS VARCHAR) AS whole_row
    FROM work_read_row AS read_row
    SEMI JOIN (FROM work_repeated_key WHERE in_one_delivery) AS repeated USING (stage_table, stage_rowid)
) AS repeated_row
WINDOW same_key AS (PARTITION BY delivery_id, ${key})
QUALIFY
    rule = ${repeated}
    OR row_number() OVER (PARTITION BY delivery_id, ${key} ORDER BY row_no) > 1
