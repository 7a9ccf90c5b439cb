-- one row per settlement, KPI, year and kind of document: the target in force
CREATE OR REPLACE TEMP TABLE work_target AS
SELECT
    kato,
    kpi_code,
    target_year::VARCHAR AS year,
    target_value::DOUBLE AS target
FROM ${targets}
QUALIFY
    row_number() OVER (
        PARTITION BY kato, kpi_code, target_year, document_kind
        ORDER BY agreed_at IS NOT NULL DESC, document_version DESC, approved_at DESC
    ) = 1
