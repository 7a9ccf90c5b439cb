-- Code list of areas: the country, item 7 groups, regions and their settlements; `parent` is the code that an area lies in
SELECT 'KZ' AS code, 'country' AS kind, NULL AS kato, NULL AS parent, NULL AS item7_group,
    NULL AS name_en, NULL AS name_ru, NULL AS name_kk, 0 AS place
UNION ALL
SELECT DISTINCT 'GROUP_' || upper(item7_group), 'group', NULL, 'KZ', item7_group, NULL, NULL, NULL, 1
FROM registry.settlement
UNION ALL
SELECT 'KZ-' || left(kato, 2), 'region', kato, 'KZ', NULL, name_en, name_ru, name_kk, 2
FROM registry.region
UNION ALL
SELECT kato, 'settlement', kato, 'KZ-' || left(region_kato, 2), item7_group, name_en, name_ru, name_kk, 3
FROM registry.settlement
ORDER BY place, code
