-- Levels and places of every settlement of an item 7 group, by the newest assessment of a year.
SELECT
    scorecard.*,
    settlement.name_en,
    settlement.name_ru,
    settlement.name_kk
FROM scorecard
JOIN registry.settlement AS settlement USING (kato)
WHERE scorecard.item7_group = ${item7_group} AND scorecard.year::VARCHAR = ${assessed_year}
ORDER BY scorecard.catalogue_id, scorecard.rank, scorecard.kato
