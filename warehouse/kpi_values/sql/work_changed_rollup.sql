-- one row per computed roll-up that is new or differs from the one in force
CREATE OR REPLACE TEMP TABLE work_changed_rollup AS
SELECT computed.*
FROM work_computed_rollup AS computed
LEFT JOIN work_wording AS wording ON computed.reason = wording.message
ANTI JOIN kpi.rollup AS former
    ON
        (former.kpi_code, former.area_kind, former.area, former.period_id)
        = (computed.kpi_code, computed.area_kind, computed.area, computed.period_id)
        AND former.valid_to_seq IS NULL
        AND ${same}
