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
    json_object(
        'code', 'reason.failing_delivery',
        'rules', list(
            json_object(
                'code', 'reason.rule_of_criterion',
                'criterion', json_object('code', 'criterion.' || criterion),
                'rule', rule
            ) ORDER BY rule
        ),
        'delivery', delivery_id
    ) AS failing,
    CASE
        WHEN bool_or(rule = ${jump})
            THEN json_object(
                'code', 'reason.leap',
                'observed', list(
                    -- a finding of a former version is plain text
                    CASE WHEN observed[1] IN ('{', '[') THEN try_cast(observed AS JSON) ELSE to_json(observed) END
                ) FILTER (WHERE rule = ${jump}),
                'delivery', delivery_id
            )
    END AS leaping
FROM audit.incident
ANTI JOIN taken_out USING (delivery_id, rule)
WHERE opened_seq <= ${seq} AND (closed_seq IS NULL OR closed_seq > ${seq})
GROUP BY delivery_id, table_name, system, scope, period_id
