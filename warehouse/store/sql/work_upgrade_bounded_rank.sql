-- one row per assessment and ranked settlement, with the places it may have within its item 7 group
CREATE OR REPLACE TEMP TABLE work_upgrade_bounded_rank AS
WITH level AS (
    SELECT
        ranked.assessment_id,
        ranked.kato,
        ranked.item7_group,
        CASE WHEN node.certain THEN round(score.level * 1000000) / 1000000 ELSE round(node.level_low * 1000000) / 1000000 END AS low,
        CASE WHEN node.certain THEN round(score.level * 1000000) / 1000000 ELSE round(node.level_high * 1000000) / 1000000 END AS high
    FROM kpi.assessment_rank AS ranked
    JOIN kpi.assessment_score AS score
        ON
            (score.assessment_id, score.kato, score.node_kind)
            = (ranked.assessment_id, ranked.kato, 'settlement')
    JOIN work_upgrade_bounded_node AS node
        ON
            (node.assessment_id, node.kato, node.node_kind)
            = (ranked.assessment_id, ranked.kato, 'settlement')
    WHERE ranked.rank IS NOT NULL
)

SELECT
    own.assessment_id,
    own.kato,
    (1 + count(other.kato) FILTER (WHERE other.high > own.low))::INTEGER AS rank_low,
    (1 + count(other.kato) FILTER (WHERE other.low > own.high))::INTEGER AS rank_high
FROM level AS own
LEFT JOIN level AS other
    ON (other.assessment_id, other.item7_group) = (own.assessment_id, own.item7_group) AND other.kato <> own.kato
GROUP BY ALL
