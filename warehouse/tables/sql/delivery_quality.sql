-- Every decided delivery against the eight quality criteria of the law: pass, fail (a rule on the delivery failed,
-- or more than ${tolerance} % of its rows broke a rule) or not judged
SELECT
    delivery.delivery_id,
    delivery.table_name,
    showcase_table.name_en AS table_en,
    showcase_table.name_ru AS table_ru,
    showcase_table.name_kk AS table_kk,
    delivery.system,
    delivery.scope,
    delivery.period_id,
    delivery.state,
    criterion.criterion,
    criterion.name_en AS criterion_en,
    criterion.name_ru AS criterion_ru,
    criterion.name_kk AS criterion_kk,
    CASE
        WHEN count(found.rule) FILTER (WHERE NOT (${unjudged})) = 0 THEN 'not judged'
        WHEN bool_or(${fails}) THEN 'fail'
        ELSE 'pass'
    END AS result,
    coalesce(
        string_agg(found.rule || ': ' || coalesce(said.text_en, found.observed), '; ' ORDER BY found.rule)
        FILTER (WHERE ${fails}),
        ''
    ) AS failing_en,
    coalesce(
        string_agg(found.rule || ': ' || coalesce(said.text_ru, found.observed), '; ' ORDER BY found.rule)
        FILTER (WHERE ${fails}),
        ''
    ) AS failing_ru,
    coalesce(
        string_agg(found.rule || ': ' || coalesce(said.text_kk, found.observed), '; ' ORDER BY found.rule)
        FILTER (WHERE ${fails}),
        ''
    ) AS failing_kk
FROM audit.delivery AS delivery
CROSS JOIN registry.criterion AS criterion
LEFT JOIN registry.showcase_table AS showcase_table ON showcase_table.table_name = delivery.table_name
LEFT JOIN registry.rule AS rule ON (rule.table_name, rule.criterion) = (delivery.table_name, criterion.criterion)
LEFT JOIN audit.check_result AS found ON (found.delivery_id, found.rule) = (delivery.delivery_id, rule.rule)
LEFT JOIN registry.message AS said ON said.message = found.observed
WHERE delivery.state IN ('loaded', 'refused')
GROUP BY ALL
