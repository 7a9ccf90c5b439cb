-- settlements of whose information systems the register changed after a sequence; the day does not matter
INSERT INTO work_changed_day
SELECT
    ${key} AS scan_key,
    kato,
    NULL AS day,
    max(seq) AS seq
FROM (
    SELECT
        kato,
        valid_from_seq AS seq
    FROM showcase.${table}
    UNION ALL
    SELECT
        kato,
        valid_to_seq
    FROM history.${table}
) AS changed
WHERE seq > ${since}
GROUP BY kato
