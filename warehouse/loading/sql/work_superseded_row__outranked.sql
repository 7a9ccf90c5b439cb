-- rows of the turn of whose key another delivery in force tells newer (work_rival_row)
INSERT INTO work_superseded_row
SELECT DISTINCT
    new_delivery_id,
    new_row_no,
    since
FROM work_rival_row AS rival
ANTI JOIN (${revoked}) AS revoked ON revoked.candidate = rival.candidate
