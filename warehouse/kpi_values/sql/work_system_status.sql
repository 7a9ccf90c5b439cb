-- one row per due cell of a settlement that has a register dated before the period's end: the initiative's systems
-- in operation by the newest
CREATE OR REPLACE TEMP TABLE work_system_status AS
WITH latest AS (
    SELECT
        cell.kpi_code,
        cell.kato,
        cell.period_id,
        cell.period_end_population_date AS day,
        max(register.snapshot_date) AS listed
    FROM work_due_cell AS cell
    JOIN work_kpi_version AS kpi
        ON (kpi.kpi_code, kpi.version) = (cell.kpi_code, cell.version) AND kpi.rows_table <> ${register_name}
    JOIN ${register} AS register
        ON cell.kato = register.kato AND register.snapshot_date <= cell.period_end_population_date
    GROUP BY ALL
)

SELECT
    latest.kpi_code,
    latest.kato,
    latest.period_id,
    latest.listed,
    count(register.system_id) AS systems,
    count(*) FILTER (WHERE register.sdu_integrated_at < latest.day) AS integrated,
    list(register.system_id ORDER BY register.system_id) AS named
FROM latest
LEFT JOIN ${register} AS register
    ON
        (register.kato, register.snapshot_date) = (latest.kato, latest.listed)
        AND register.initiative_code = split_part(latest.kpi_code, '-', 1)
        AND register.commissioned_at < latest.day
        AND (register.retired_at IS NULL OR register.retired_at >= latest.day)
GROUP BY ALL
