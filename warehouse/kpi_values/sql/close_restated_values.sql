-- values in force that a changed value restates end with its computation
UPDATE kpi.value AS former SET valid_to_seq = computation.seq
FROM work_changed_value AS changed
JOIN work_computation AS computation USING (kpi_code)
WHERE
    changed.restates
    AND former.valid_to_seq IS NULL
    AND (former.kpi_code, former.kato, former.period_id) = (changed.kpi_code, changed.kato, changed.period_id)
