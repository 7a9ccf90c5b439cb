-- Settlements and periods of the published values of some KPIs, as scans take them.
CREATE OR REPLACE TEMP TABLE work_trail_scan_cell AS
SELECT DISTINCT
    kato,
    period_id,
    period_start::TIMESTAMP AS period_start,
    period_end::TIMESTAMP AS period_end,
    period_end AS period_end_population_date
FROM work_trail_cell
WHERE kpi_code IN (${codes})
