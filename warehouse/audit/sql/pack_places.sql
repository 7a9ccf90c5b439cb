-- One row per settlement of the group: place, level and coverage, as summed again.
SELECT
    recorded.name_en,
    ranked.place,
    round(summed.level, 6) AS level,
    round(summed.coverage, 6) AS coverage
FROM summed
LEFT JOIN ranked USING (kato)
INNER JOIN read_parquet('places.parquet') AS recorded USING (kato)
ORDER BY ranked.place NULLS LAST, level DESC
