{% for table in ['fct_fare_validation', 'fct_air_hour', 'dim_meter', 'fct_appeal', 'dim_street_light'] %}
select * from {{ ref('kpi_' ~ table) }}
{{ 'union all' if not loop.last }}
{%- endfor %}
