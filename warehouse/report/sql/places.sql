-- One row per KPI, settlement and year with a public value: its place in the group, and those that the bounds allow.
SELECT
    kpi_code,
    kato,
    item7_group,
    year,
    rank,
    rank_high,
    rank_low,
    ranked
FROM ranking
WHERE grain = 'A'
ORDER BY kpi_code, year, item7_group, rank, kato
