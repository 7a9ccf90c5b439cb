-- roll-ups in force that a changed one restates end with its computation
UPDATE kpi.rollup AS former SET valid_to_seq = computation.seq
FROM work_changed_rollup AS changed
JOIN work_computation AS computation USING (kpi_code)
WHERE
    former.valid_to_seq IS NULL
    AND (former.kpi_code, former.area_kind, former.area, former.period_id)
    = (changed.kpi_code, changed.area_kind, changed.area, changed.period_id)
