-- Why values of a year are missing: reasons by how many cells they cost, among settlements that deliver and among all
SELECT
    cell.reason_code,
    cell.obs_status,
    min(cell.reason_en) AS reason_en,
    arg_min(cell.reason_ru, cell.reason_en) AS reason_ru,
    arg_min(cell.reason_kk, cell.reason_en) AS reason_kk,
    count(DISTINCT cell.reason_en) = 1 AS same,
    count(*) AS cells,
    count(*) FILTER (WHERE cell.kato IN (SELECT scope FROM audit.delivery WHERE state = 'loaded')) AS cells_delivering,
    count(DISTINCT cell.kpi_code) AS kpis
FROM missing_values AS cell
WHERE cell.year = ${year} AND cell.obs_status IN ('L', 'O')
GROUP BY cell.reason_code, cell.obs_status
ORDER BY cells_delivering DESC, cells DESC
LIMIT ${most}
