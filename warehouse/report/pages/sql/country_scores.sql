-- Settlements of an assessment as they stand, with the level by the same list a year before
SELECT
    scorecard.kato,
    scorecard.item7_group,
    scorecard.coverage_percent,
    scorecard.achievement,
    scorecard.level,
    scorecard.level_low,
    scorecard.level_high,
    scorecard.state,
    scorecard.rank,
    scorecard.rank_best,
    scorecard.rank_worst,
    scorecard.rank_low,
    scorecard.rank_high,
    CASE WHEN former.rank IS NOT NULL THEN former.level END AS former_level,
    CASE WHEN former.rank IS NOT NULL THEN former.level_low END AS former_low,
    CASE WHEN former.rank IS NOT NULL THEN former.level_high END AS former_high
FROM scorecard
LEFT JOIN scorecard AS former
    ON
        former.year = scorecard.year - 1
        AND (former.catalogue_id, former.kato) = (scorecard.catalogue_id, scorecard.kato)
WHERE scorecard.assessment_id = ${assessment}
ORDER BY scorecard.rank NULLS LAST, scorecard.kato
