-- One row per settlement and KPI: its weight again, its share of the initiative, of the sphere and of the whole.
CREATE OR REPLACE TEMP TABLE weighed AS
WITH leaf AS (
    SELECT DISTINCT kato, sphere, initiative, kpi_code
    FROM item
),

kpi AS (
    SELECT leaf.*, coalesce(given.weight, 1) AS weight
    FROM leaf
    LEFT JOIN given ON given.kind = 'kpis' AND leaf.kpi_code = given.code
),

initiative AS (
    SELECT DISTINCT leaf.kato, leaf.sphere, leaf.initiative, coalesce(given.weight, 1) AS weight
    FROM leaf
    LEFT JOIN given ON given.kind = 'initiatives' AND leaf.initiative = given.code
),

sphere AS (
    SELECT DISTINCT leaf.kato, leaf.sphere, coalesce(given.weight, 1) AS weight
    FROM leaf
    LEFT JOIN given ON given.kind = 'spheres' AND leaf.sphere = given.code
),

initiative_share AS (
    SELECT kato, initiative, weight / sum(weight) OVER (PARTITION BY kato, sphere) AS share
    FROM initiative
),

sphere_share AS (
    SELECT kato, sphere, weight / sum(weight) OVER (PARTITION BY kato) AS share
    FROM sphere
)

SELECT
    kpi.kato,
    kpi.kpi_code,
    kpi.weight / sum(kpi.weight) OVER (PARTITION BY kpi.kato, kpi.initiative)
    * initiative_share.share * sphere_share.share AS weight_again
FROM kpi
INNER JOIN initiative_share ON kpi.kato = initiative_share.kato AND kpi.initiative = initiative_share.initiative
INNER JOIN sphere_share ON kpi.kato = sphere_share.kato AND kpi.sphere = sphere_share.sphere
