-- one row per changed roll-up
INSERT INTO kpi.rollup BY NAME
SELECT
    changed.*,
    ${read_seq} AS as_of_seq,
    computation.seq AS valid_from_seq,
    CAST(NULL AS BIGINT) AS valid_to_seq
FROM work_changed_rollup AS changed
JOIN work_computation AS computation USING (kpi_code)
ORDER BY ALL
