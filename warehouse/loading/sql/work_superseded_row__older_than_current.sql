-- rows of the turn whose current row of the key does not leave before them: what is there is newer
INSERT INTO work_superseded_row
SELECT
    matched.delivery_id,
    matched.row_no,
    matched.seq
FROM work_matched_row AS matched
LEFT JOIN work_leaving_row AS leaving USING (current_row)
WHERE
    (leaving.seq IS NULL OR leaving.seq > matched.seq)
    AND (matched.delivery_id, matched.row_no) NOT IN (SELECT (delivery_id, row_no) FROM work_resent_row)
