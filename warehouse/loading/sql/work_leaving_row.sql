-- one row per current row that leaves for history, with the ledger sequence at which it ceases to hold:
-- that of the first newer row of its key or of the first delivery that takes it, whichever is earlier
INSERT INTO work_leaving_row
SELECT
    current_row,
    min(seq) AS seq
FROM (
    SELECT
        current_row,
        seq
    FROM work_matched_row
    WHERE
        newer
        AND (delivery_id, row_no) NOT IN (
            SELECT (delivery_id, row_no) FROM work_resent_row
            UNION ALL
            SELECT (delivery_id, row_no) FROM work_superseded_row
        )
    UNION ALL
    SELECT
        current_row,
        seq
    FROM work_taken_row
    WHERE current_row NOT IN (SELECT current_row FROM work_resent_row)
) AS ended
GROUP BY current_row
