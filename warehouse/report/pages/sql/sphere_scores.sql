-- Spheres of an assessment by settlement; withheld where one restricted KPI alone would follow from the sphere's level
WITH restricted AS (
    SELECT
        item.kato,
        kpi.sphere,
        count(item.score) AS scored
    FROM kpi.assessment_item AS item
    JOIN (SELECT DISTINCT
        code,
        sphere
    FROM registry.kpi
    WHERE sensitivity = 'restricted') AS kpi
        ON kpi.code = item.kpi_code
    WHERE item.assessment_id = ${assessment}
    GROUP BY ALL
)

SELECT
    score.kato,
    score.node AS sphere,
    coalesce(restricted.scored, 0) = 1 AS withheld,
    CASE WHEN NOT withheld THEN round(100 * score.coverage * 10) / 10 END AS coverage_percent,
    CASE WHEN NOT withheld THEN round(score.level * 10) / 10 END AS level,
    CASE WHEN NOT withheld THEN round(score.level_low * 10) / 10 END AS level_low,
    CASE WHEN NOT withheld THEN round(score.level_high * 10) / 10 END AS level_high
FROM kpi.assessment_score AS score
LEFT JOIN restricted ON (restricted.kato, restricted.sphere) = (score.kato, score.node)
WHERE score.assessment_id = ${assessment} AND score.node_kind = 'sphere'
ORDER BY score.kato, score.node
