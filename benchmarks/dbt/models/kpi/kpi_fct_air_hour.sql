{{ kpis('fct_air_hour', month="date_trunc('month', hour_start)", measures=[
    ('BEN01-4', 'share', "count(*) filter (where is_valid)", "count(*)"),
    ('BEN01-5', 'mean', "sum(value_ug_m3) filter (where pollutant = 'PM25' and is_valid)",
     "count(value_ug_m3) filter (where pollutant = 'PM25' and is_valid)"),
    ('BEN01-6', 'share', "count(*) filter (where pollutant = 'PM10' and is_valid and value_ug_m3 > 50)",
     "count(*) filter (where pollutant = 'PM10' and is_valid)"),
]) }}
