-- one row per assessment and item, with its bounds: 0 to 100 where its value has none
CREATE OR REPLACE TEMP TABLE work_upgrade_bounded_item AS
SELECT
    item.assessment_id,
    item.kato,
    item.kpi_code,
    item.weight,
    CASE WHEN year_value.low IS NOT NULL THEN item.score WHEN item.score IS NOT NULL THEN 0 END AS score_low,
    CASE WHEN year_value.low IS NOT NULL THEN item.score WHEN item.score IS NOT NULL THEN 100 END AS score_high
FROM kpi.assessment_item AS item
JOIN kpi.assessment AS assessment USING (assessment_id)
LEFT JOIN (
    SELECT
        kpi_code,
        kato,
        period_id,
        valid_from_seq,
        valid_to_seq,
        value_low AS low
    FROM kpi.value
    UNION ALL
    SELECT
        kpi_code,
        area AS kato,
        period_id,
        valid_from_seq,
        valid_to_seq,
        value_low AS low
    FROM kpi.rollup
    WHERE area_kind = 'settlement'
) AS year_value
    ON
        year_value.kpi_code = item.kpi_code
        AND year_value.kato = item.kato
        AND year_value.period_id = assessment.year::VARCHAR
        AND year_value.valid_from_seq <= assessment.as_of_seq
        AND (year_value.valid_to_seq IS NULL OR year_value.valid_to_seq > assessment.as_of_seq)
