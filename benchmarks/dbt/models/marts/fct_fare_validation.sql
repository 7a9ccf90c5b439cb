{{ latest(ref('stg_fct_fare_validation'), key=['kato', 'validation_id']) }}
