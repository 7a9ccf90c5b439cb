{% for table in ['fct_fare_validation', 'fct_air_hour', 'dim_meter', 'fct_appeal', 'dim_street_light'] %}
select '{{ table }}' as table_name, delivery, row_no, broken as rule, raw
from {{ numbered(ref('stg_' ~ table)) }}
where broken is not null
{{ 'union all' if not loop.last }}
{%- endfor %}
