-- The newest value of every KPI in every settlement that has one
SELECT *
FROM kpi_values
WHERE value IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY kpi_code, kato ORDER BY period_start DESC) = 1
