-- Code list of areas: the country, item 7 groups, regions and their settlements; `parent` is the code that an area
-- lies in
SELECT
    'KZ' AS code,
    'country' AS kind,
    NULL AS kato,
    NULL AS parent,
    NULL AS name_en,
    NULL AS name_ru,
    NULL AS name_kk,
    0 AS place,
    0 AS position
UNION ALL
SELECT 'GROUP_' || upper(item7_group), 'group', NULL, 'KZ', name_en, name_ru, name_kk, 1, position  -- noqa: AL03,AL08
FROM registry.item7_group
UNION ALL
SELECT 'KZ-' || left(kato, 2), 'region', kato, 'KZ', name_en, name_ru, name_kk, 2, 0  -- noqa: AL03,AL08
FROM registry.region
UNION ALL
SELECT kato, 'settlement', kato, 'KZ-' || left(region_kato, 2), name_en, name_ru, name_kk, 3, 0  -- noqa: AL03,AL08
FROM registry.settlement
ORDER BY place, position, code
