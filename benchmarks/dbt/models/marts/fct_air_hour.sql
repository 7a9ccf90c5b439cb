{{ latest(ref('stg_fct_air_hour'), key=['kato', 'station_id', 'hour_start', 'pollutant']) }}
