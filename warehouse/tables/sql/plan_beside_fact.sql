-- Targets of Strategy and Road map (item 11) beside the year's value; the plan is never part of a computed value
WITH newest AS (
    SELECT *
    FROM showcase.fct_kpi_target
    QUALIFY row_number() OVER (
        PARTITION BY kato, kpi_code, target_year, document_kind
        ORDER BY agreed_at IS NOT NULL DESC, document_version DESC, approved_at DESC
    ) = 1
)

SELECT
    target.kato,
    settlement.name_en AS settlement_en,
    settlement.name_ru AS settlement_ru,
    target.kpi_code,
    target.target_year::VARCHAR AS year,
    target.document_kind,
    target.document_id,
    target.document_version,
    target.approved_at,
    target.agreed_at,
    target.baseline_year,
    target.baseline_value,
    target.target_value AS plan,
    fact.value AS fact,
    fact.value_low AS fact_low,
    fact.value_high AS fact_high,
    fact.state,
    fact.reason,
    round(
        (fact.value - target.baseline_value::DOUBLE)
        / nullif(target.target_value - target.baseline_value, 0)::DOUBLE * 1000000
    ) / 1000000 AS progress,
    target.delivery_id
FROM newest AS target
JOIN registry.settlement AS settlement USING (kato)
LEFT JOIN year_values AS fact
    ON (fact.kpi_code, fact.kato, fact.year) = (target.kpi_code, target.kato, target.target_year::VARCHAR)
