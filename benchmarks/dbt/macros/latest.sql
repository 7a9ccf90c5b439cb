{# Rows that keep the rules; of those with the same key the latest holds. #}
{% macro latest(staged, key) -%}
select * exclude (broken, raw, place)
from {{ numbered(staged) }}
where place in (select max(rowid) from {{ staged }} where broken is null group by {{ key | join(', ') }})
{%- endmacro %}
