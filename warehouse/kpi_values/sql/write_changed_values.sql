-- one row per changed value
INSERT INTO kpi.value BY NAME
SELECT
    changed.kpi_code,
    kato,
    period_id,
    period_start,
    ${value_columns},
    version AS definition_version,
    definition_hash,
    catalogue_version,
    CAST(${read_seq} AS BIGINT) AS as_of_seq,
    CAST(${now} AS TIMESTAMPTZ) AS computed_at,
    CAST(${run} AS VARCHAR) AS run_id,
    computation.seq AS valid_from_seq,
    CAST(NULL AS BIGINT) AS valid_to_seq
FROM work_changed_value AS changed
JOIN work_computation AS computation USING (kpi_code)
ORDER BY ALL
