{{ latest(ref('stg_dim_meter'), key=['kato', 'meter_id', 'installed_at', 'snapshot_date']) }}
