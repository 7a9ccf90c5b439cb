-- Levels and places of every settlement of an item 7 group, by the newest assessment of a year.
SELECT
    scorecard.* EXCLUDE (item7_group, region_kato),
    settlement.*
FROM scorecard
JOIN registry.settlement AS settlement USING (kato)
WHERE settlement.item7_group = ${item7_group} AND scorecard.year::VARCHAR = ${assessed_year}
ORDER BY scorecard.catalogue_id, scorecard.rank, scorecard.kato
