-- Values of a KPI in one place, by period: cells and years of a settlement, roll-ups of a larger territory.
SELECT *
FROM (
    SELECT *
    FROM public_values
    WHERE ${area_kind} = 'settlement' AND kato = ${area}
    UNION ALL BY NAME
    SELECT *
    FROM rollups
    WHERE area_kind = ${area_kind} AND area = ${area}
) AS found
WHERE kpi_code = ${kpi_code} AND (${period_id} IS NULL OR period_id = ${period_id})
ORDER BY grain DESC, period_start
