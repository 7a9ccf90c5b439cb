-- Values of a KPI in every settlement of an item 7 group, in one period, with the places of those that have one.
WITH found AS (
    SELECT *
    FROM public_values
    WHERE kpi_code = ${kpi_code} AND period_id = ${period_id}
    UNION ALL BY NAME
    SELECT
        *,
        area AS kato
    FROM rollups
    WHERE kpi_code = ${kpi_code} AND period_id = ${period_id} AND area_kind = 'settlement'
)

SELECT
    found.* EXCLUDE (item7_group, region_kato),
    settlement.*,
    ranking.rank,
    ranking.rank_high,
    ranking.rank_low
FROM found
JOIN registry.settlement AS settlement USING (kato)
LEFT JOIN ranking USING (kpi_code, period_id, kato)
WHERE settlement.item7_group = ${item7_group}
ORDER BY ranking.rank, found.kato
