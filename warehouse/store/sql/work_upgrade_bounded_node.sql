-- one row per assessment, settlement and node (initiative, sphere, settlement), with the bounds of its level
CREATE OR REPLACE TEMP TABLE work_upgrade_bounded_node AS
SELECT
    assessment_id,
    kato,
    node_kind,
    node,
    round(coalesce(sum(weight * score_low), 0) / sum(weight) * 1000000000) / 1000000000 AS level_low,
    round(coalesce(sum(weight * score_high), 0) / sum(weight) * 1000000000) / 1000000000 AS level_high,
    bool_and(score_low IS NOT DISTINCT FROM score_high) AS certain
FROM (
    SELECT
        item.*,
        -- columns `k` and `n`, which an alias would be in the way of
        unnest( -- noqa: AL03
            [
                struct_pack(k := 'initiative', n := initiative.code),
                struct_pack(k := 'sphere', n := initiative.sphere),
                struct_pack(k := 'settlement', n := item.kato)
            ],
            recursive := TRUE
        )
    FROM work_upgrade_bounded_item AS item
    JOIN registry.initiative AS initiative ON initiative.code = split_part(item.kpi_code, '-', 1)
) AS placed (assessment_id, kato, kpi_code, weight, score_low, score_high, node_kind, node)
GROUP BY ALL
