-- One row per settlement with enough coverage: its place in the group.
CREATE OR REPLACE TEMP TABLE ranked AS
SELECT *, rank() OVER (ORDER BY round(level * 1000000) / 1000000 DESC) AS place
FROM summed
WHERE round(coverage, 9) >= ${minimum_coverage}
