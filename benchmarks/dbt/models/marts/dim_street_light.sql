{{ latest(ref('stg_dim_street_light'), key=['kato', 'light_id', 'snapshot_date']) }}
