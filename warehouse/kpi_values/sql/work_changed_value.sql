-- one row per computed value that is new or differs from the one in force; restates: there is one in force
CREATE OR REPLACE TEMP TABLE work_changed_value AS
SELECT
    computed.*,
    former.kpi_code IS NOT NULL AS restates
FROM work_computed_value AS computed
LEFT JOIN kpi.value AS former
    ON
        (former.kpi_code, former.kato, former.period_id) = (computed.kpi_code, computed.kato, computed.period_id)
        AND former.valid_to_seq IS NULL
LEFT JOIN work_wording AS wording ON computed.reason = wording.message
WHERE
    former.kpi_code IS NULL
    OR NOT (${same} AND former.definition_hash = computed.definition_hash)
