-- One row: the number as recorded and as computed. Nothing counted is the same as nothing there: an empty numerator or
-- denominator stands for 0.
SELECT
    'value ' || coalesce(recorded.value::VARCHAR, 'none')
    || ', ' || coalesce(recorded.numerator, 0) || ' / '
    || coalesce(recorded.denominator, 0) || ', sample ' || recorded.sample AS expected,
    'value ' || coalesce(computed.value::VARCHAR, 'none')
    || ', ' || coalesce(computed.numerator, 0)::DECIMAL(38, 6) || ' / '
    || coalesce(computed.denominator, 0)::DECIMAL(38, 6) || ', sample ' || computed.sample AS computed,
    (recorded.value IS NOT DISTINCT FROM computed.value)
    AND coalesce(recorded.numerator, 0) = coalesce(computed.numerator, 0)
    AND coalesce(recorded.denominator, 0) = coalesce(computed.denominator, 0)
    AND recorded.sample = computed.sample AS equal,
    ledger.ledger_intact,
    (SELECT coalesce(bool_and(in_ledger), TRUE) FROM inputs) AS inputs_in_ledger
FROM recorded, computed, ledger
