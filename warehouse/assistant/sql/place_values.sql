-- Values of a KPI in one place, by period: cells and years of a settlement, roll-ups of a larger territory.
WITH found AS (
    SELECT *
    FROM public_values
    WHERE kpi_code = ${kpi_code} AND ${area_kind} = 'settlement' AND kato = ${area}
    UNION ALL BY NAME
    SELECT
        rollups.*,
        cell.definition_version,
        cell.as_of_seq
    FROM rollups
    JOIN kpi.rollup AS cell USING (kpi_code, area_kind, area, period_id)
    WHERE
        rollups.kpi_code = ${kpi_code}
        AND area_kind = ${area_kind}
        AND area = ${area}
        AND cell.valid_to_seq IS NULL
)

SELECT
    found.*,
    period.grain
FROM found
JOIN registry.period AS period ON period.id = found.period_id
WHERE ${period_id} IS NULL OR period_id = ${period_id}
ORDER BY period.grain DESC, found.period_start
