-- One row per settlement of the group and KPI: recorded score, score again from floor and goal, value of the year.
CREATE OR REPLACE TEMP TABLE item AS
SELECT
    item.*,
    year_value.value AS year_value,
    CASE
        WHEN item.value IS NOT NULL AND scale.goal IS NOT NULL
            THEN 100 * least(1.0, greatest(0.0, (item.value - scale.floor) / (scale.goal - scale.floor)))
    END AS score_again
FROM read_parquet('items.parquet') AS item
LEFT JOIN read_parquet('values.parquet') AS year_value
    ON item.kato = year_value.kato AND item.kpi_code = year_value.kpi_code
LEFT JOIN read_parquet('scales.parquet') AS scale ON item.kpi_code = scale.kpi_code
