-- One row per settlement of the group: its level and coverage, summed again.
CREATE OR REPLACE TEMP TABLE summed AS
SELECT
    kato,
    sum(weight * coalesce(score, 0)) / sum(weight) AS level,
    coalesce(sum(weight) FILTER (WHERE score IS NOT NULL), 0) / sum(weight) AS coverage
FROM item
GROUP BY kato
