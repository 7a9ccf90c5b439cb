-- One row per settlement, assessed year and sphere. Where a restricted value counts in a level, it could be worked out from the others.
SELECT
    card.kato,
    card.year,
    score.node AS sphere,
    score.coverage,
    coalesce(hidden.hidden, 0) > 0 AS held_back,
    CASE WHEN hidden.hidden IS NULL THEN score.level END AS level,
    CASE WHEN hidden.hidden IS NULL THEN score.level_low END AS level_low,
    CASE WHEN hidden.hidden IS NULL THEN score.level_high END AS level_high
FROM scorecard AS card
INNER JOIN kpi.assessment_score AS score
    ON card.assessment_id = score.assessment_id AND card.kato = score.kato AND score.node_kind = 'sphere'
LEFT JOIN (
    SELECT
        item.assessment_id,
        item.kato,
        kpi.sphere,
        count(*) AS hidden
    FROM kpi.assessment_item AS item
    INNER JOIN (SELECT DISTINCT code, sphere FROM registry.kpi WHERE sensitivity = 'restricted') AS kpi
        ON item.kpi_code = kpi.code
    WHERE item.value IS NOT NULL
    GROUP BY ALL
) AS hidden
    ON score.assessment_id = hidden.assessment_id AND score.kato = hidden.kato AND score.node = hidden.sphere
ORDER BY ALL
