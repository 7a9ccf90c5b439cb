-- one row per delivery with incidents open at a sequence: which criteria it does not meet, and which of its
-- figures leapt
-- incidents whose rows were taken out are left to the cells these rows fall into: bounds tell what they weigh
CREATE OR REPLACE TEMP TABLE work_open_incident AS
WITH taken_out AS (
    SELECT DISTINCT
        delivery_id,
        unnest(CASE WHEN rule IN ('encoding', 'columns') THEN [rule, 'structure'] ELSE [rule] END) AS rule
    FROM audit.rejected_row
    WHERE delivery_id IN (SELECT delivery_id FROM audit.incident)
)

SELECT
    delivery_id,
    table_name,
    system,
    scope,
    period_id,
    string_agg(criterion || ' (' || rule || ')', ', ' ORDER BY rule) || ' in delivery ' || delivery_id AS failing,
    string_agg(observed, '; ') FILTER (WHERE rule = ${jump}) || ' in delivery ' || delivery_id AS leaping
FROM audit.incident
ANTI JOIN taken_out USING (delivery_id, rule)
WHERE opened_seq <= ${seq} AND (closed_seq IS NULL OR closed_seq > ${seq})
GROUP BY delivery_id, table_name, system, scope, period_id
