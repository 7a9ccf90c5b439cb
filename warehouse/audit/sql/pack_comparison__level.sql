-- One row: level and place as recorded and as computed; equal only if no score, weight or level of the group differs.
SELECT
    'level ' || ${level} || ', place ' || coalesce(${place}::VARCHAR, 'none') AS expected,
    'level ' || round(own.level, 9) || ', place ' || coalesce(${place_again}::VARCHAR, 'none') AS computed,
    abs(own.level - ${level}) <= ${tolerance}
    AND (${place} IS NOT DISTINCT FROM ${place_again})
    AND (SELECT count(*) FROM wrong_score) + (SELECT count(*) FROM wrong_weight)
    + (SELECT count(*) FROM wrong_level) = 0 AS equal,
    ledger.ledger_intact,
    entered.in_ledger AS inputs_in_ledger
FROM (
    SELECT sum(weight * coalesce(score, 0)) / sum(weight) AS level
    FROM item
    WHERE kato = ${kato} AND ${inside}
) AS own, ledger, entered
