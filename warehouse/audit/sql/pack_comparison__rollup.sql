-- One row: the number as recorded and as computed. An empty numerator or denominator stands for 0.
SELECT
    'value ' || coalesce(recorded.value::VARCHAR, 'none')
    || ', ' || coalesce(recorded.numerator, 0) || ' / '
    || coalesce(recorded.denominator, 0)
    || ', sample '
    || recorded.sample
    || ', cells '
    || recorded.counted AS expected,
    'value ' || coalesce(computed.value::VARCHAR, 'none')
    || ', ' || coalesce(computed.numerator, 0)::DECIMAL(38, 6) || ' / '
    || coalesce(computed.denominator, 0)::DECIMAL(38, 6) || ', sample ' || computed.sample
    || ', cells ' || computed.counted AS computed,
    (recorded.value IS NOT DISTINCT FROM computed.value)
    AND coalesce(recorded.numerator, 0) = coalesce(computed.numerator, 0)
    AND coalesce(recorded.denominator, 0) = coalesce(computed.denominator, 0)
    AND recorded.sample = computed.sample
    AND recorded.counted = computed.counted AS equal,
    ledger.ledger_intact
FROM recorded, computed, ledger
