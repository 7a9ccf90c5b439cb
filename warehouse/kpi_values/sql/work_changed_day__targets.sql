-- settlements and years whose targets changed after a sequence; the day is the first of the target's year
INSERT INTO work_changed_day
SELECT
    ${key} AS scan_key,
    kato,
    make_date(target_year, 1, 1) AS day,
    max(seq) AS seq
FROM (
    SELECT
        kato,
        target_year,
        valid_from_seq AS seq
    FROM showcase.${table}
    UNION ALL
    SELECT
        kato,
        target_year,
        valid_to_seq
    FROM history.${table}
) AS changed
WHERE seq > ${since}
GROUP BY ALL
