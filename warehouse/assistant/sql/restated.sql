-- Public figures that were published and then changed, the newest change first.
SELECT *
FROM restatements
WHERE
    (${kpi_code} IS NULL OR kpi_code = ${kpi_code})
    AND (${area_kind} IS NULL OR (area_kind = ${area_kind} AND area = ${area}))
    AND (${period_id} IS NULL OR period_id = ${period_id})
ORDER BY restated_seq DESC, kpi_code, area_kind DESC, area, period_id
