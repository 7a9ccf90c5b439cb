-- One row per settlement, assessed year and sphere; a level from which a restricted value would follow is empty.
SELECT
    kato,
    year,
    node AS sphere,
    coverage_percent,
    level,
    level_low,
    level_high,
    level IS NULL AND coverage_percent > 0 AS held_back
FROM assessment_scores
WHERE node_kind = 'sphere'
ORDER BY kato, year, node
