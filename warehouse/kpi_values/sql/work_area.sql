-- one row per territory and settlement in it; a settlement is a territory of its own for its years
CREATE OR REPLACE TEMP TABLE work_area AS
SELECT
    kato,
    'region' AS area_kind,
    region_kato AS area
FROM registry.settlement
UNION ALL
SELECT
    kato,
    'group' AS area_kind,
    item7_group AS area
FROM registry.settlement
UNION ALL
SELECT
    kato,
    'country' AS area_kind,
    'KZ' AS area
FROM registry.settlement
UNION ALL
SELECT
    kato,
    'settlement' AS area_kind,
    kato AS area
FROM registry.settlement
