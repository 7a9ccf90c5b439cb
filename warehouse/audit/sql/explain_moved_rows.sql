-- One row per version of a showcase row that came or went between two sequences; moved: by which sequence.
SELECT *
FROM (
    SELECT *, valid_from_seq AS moved FROM showcase.${showcase_table}
    UNION ALL BY NAME
    SELECT * EXCLUDE (valid_to_seq), valid_from_seq AS moved FROM history.${showcase_table}
    UNION ALL BY NAME
    SELECT * EXCLUDE (valid_to_seq), valid_to_seq AS moved FROM history.${showcase_table}
) AS versions
WHERE moved > ${after_seq} AND moved <= ${until_seq}
