-- sums that would give a suppressed cell away are suppressed as well
UPDATE work_computed_rollup AS computed SET
    value = NULL,
    value_low = NULL,
    value_high = NULL,
    state = ${state},
    obs_status = ${status},
    reason = ${reason}
FROM work_withheld_rollup AS withheld
WHERE
    (computed.kpi_code, computed.area_kind, computed.area, computed.period_id)
    = (withheld.kpi_code, withheld.area_kind, withheld.area, withheld.period_id)
