-- One row per settlement and assessed year.
SELECT *
FROM scorecard
ORDER BY year, item7_group, rank NULLS LAST, kato
