{{ latest(ref('stg_fct_appeal'), key=['kato', 'appeal_id']) }}
