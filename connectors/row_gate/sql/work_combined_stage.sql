-- one row per key, and per record that is rejected or has its key alone; records that are left out are gone
CREATE TEMP TABLE work_combined_stage AS
SELECT
    stage.delivery_no${columns},
    coalesce(stage.broken, combined.rule) AS broken,
    CASE
        WHEN combined.rule IS NULL AND combined.first_rowid IS NOT NULL THEN combined.emptied
        ELSE stage.emptied
    END AS emptied,
    CASE
        WHEN stage.broken IS NULL AND combined.rule IS NOT NULL THEN cast(to_json(${whole}) AS VARCHAR)
        ELSE stage.raw
    END AS raw,
    stage.number AS __row_no
FROM (
    SELECT
        *,
        rowid AS place,
        ${row_no} AS number
    FROM ${stage}
) AS stage
LEFT JOIN work_combined_key AS combined ON ${same_key}
WHERE
    NOT ${left_out}
    AND (combined.first_rowid IS NULL OR combined.rule IS NOT NULL OR stage.place = combined.first_rowid)
ORDER BY stage.delivery_no, stage.place
