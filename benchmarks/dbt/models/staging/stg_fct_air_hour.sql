{{ stage(
    'fct_air_hour',
    columns={
        'station_id': 'varchar', 'hour_start': 'timestamp', 'pollutant': 'varchar',
        'value_ug_m3': 'decimal(10, 3)', 'is_valid': 'boolean',
    },
    rules=[
        ('station_id.required', "station_id is not null"),
        ('station_id.length', "length(station_id) <= 64"),
        ('hour_start.required', "hour_start is not null"),
        ('pollutant.required', "pollutant is not null"),
        ('value_ug_m3.range', "value_ug_m3 between 0 and 100000"),
        ('is_valid.required', "is_valid is not null"),
        ('pollutant-domain', "pollutant in ('PM25', 'PM10', 'SO2', 'NO2', 'CO', 'O3')"),
        ('value-range', "pollutant = 'CO' or value_ug_m3 <= 2000"),
        ('valid-has-value', "is_valid = false or value_ug_m3 is not null"),
    ],
) }}
