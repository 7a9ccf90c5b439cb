{{ kpis('fct_fare_validation', month="date_trunc('month', validated_at)", measures=[
    ('BEN01-1', 'share', "count(*) filter (where is_boarding and payment_type <> 'CASH')", "count(*) filter (where is_boarding)"),
    ('BEN01-2', 'share', "count(*) filter (where is_boarding and payment_type = 'BANK_CARD')", "count(*) filter (where is_boarding)"),
    ('BEN01-3', 'share', "count(*) filter (where is_boarding)", "count(*)"),
]) }}
