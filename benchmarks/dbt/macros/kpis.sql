{# KPIs of one table by city and month: value, numerator and denominator, a row each. #}
{% macro kpis(table, month, measures, where='true') -%}
with measured as (

    select
        kato,
        cast({{ month }} as date) as month
        {%- for code, kind, numerator, denominator in measures %},
        {{ numerator }} as n{{ loop.index }},
        {{ denominator }} as d{{ loop.index }}
        {%- endfor %}
    from {{ ref(table) }}
    where {{ where }}
    group by all

)
{% for code, kind, numerator, denominator in measures %}
{% set n, d = 'n' ~ loop.index, 'd' ~ loop.index -%}
{%- set value = {'share': '100 * ' ~ n ~ ' / nullif(' ~ d ~ ', 0)', 'mean': n ~ ' / nullif(' ~ d ~ ', 0)', 'quantile': n}[kind] -%}
select
    '{{ code }}' as code,
    kato,
    month,
    cast(round({{ value }}, 6) as double) as value,
    cast({{ n }} as decimal(38, 6)) as n,
    cast({{ d }} as decimal(38, 6)) as d
from measured
{{ 'union all' if not loop.last }}
{%- endfor %}
{%- endmacro %}
