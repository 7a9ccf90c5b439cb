-- Why values of a year are missing: reasons by how many cells they cost, among settlements that deliver and among all
WITH delivering AS (
    SELECT DISTINCT scope AS kato
    FROM deliveries
    WHERE state = 'loaded'
)

SELECT
    cell.reason_code,
    cell.obs_status,
    min(cell.reason_en) AS reason_en,
    arg_min(cell.reason_ru, cell.reason_en) AS reason_ru,
    arg_min(cell.reason_kk, cell.reason_en) AS reason_kk,
    count(DISTINCT cell.reason_en) = 1 AS same,
    count(*) AS cells,
    count(*) FILTER (WHERE cell.kato IN (FROM delivering)) AS cells_delivering,
    count(DISTINCT cell.kato) AS settlements,
    count(DISTINCT cell.kpi_code) AS kpis
FROM public_values AS cell
JOIN registry.period AS period ON period.id = cell.period_id
WHERE year(period.period_start) = ${year} AND cell.obs_status IN ('L', 'O')
GROUP BY cell.reason_code, cell.obs_status
ORDER BY cells_delivering DESC, cells DESC
LIMIT ${most}
