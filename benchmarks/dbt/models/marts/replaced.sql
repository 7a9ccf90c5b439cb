{% for table in ['fct_fare_validation', 'fct_air_hour', 'dim_meter', 'fct_appeal', 'dim_street_light'] %}
select '{{ table }}' as table_name, count(*) - (select count(*) from {{ ref(table) }}) as rows
from {{ ref('stg_' ~ table) }}
where broken is null
{{ 'union all' if not loop.last }}
{%- endfor %}
