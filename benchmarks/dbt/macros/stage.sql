{# An extract as typed rows in the order they came, each with the first rule it breaks and, if any, its raw record.
   Rules are asked column by column, the type of the column first; then those of the whole row; then the city. #}
{% macro stage(table, columns, rules, register=false) -%}
{%- set checks = [] -%}
{%- for name, type in columns.items() -%}
    {%- if type != 'varchar' -%}
        {%- do checks.append((name ~ '.type', name ~ '_text is null or ' ~ name ~ ' is not null')) -%}
    {%- endif -%}
    {%- for rule in rules if rule[0].split('.')[0] == name -%}{%- do checks.append(rule) -%}{%- endfor -%}
{%- endfor -%}
{%- for rule in rules if '.' not in rule[0] -%}{%- do checks.append(rule) -%}{%- endfor -%}
{%- do checks.append(('scope', "coalesce(kato in ('" ~ var('settlements') | join("', '") ~ "'), false)")) -%}

with typed as (

    select
        file_index as delivery,
        {%- if register %}
        cast(strptime(regexp_extract(filename, '(\d{4}-\d{2})\.csv$', 1), '%Y-%m') + interval 1 month as date) as snapshot_date,
        {%- endif %}
        kato
        {%- for name, type in columns.items() %},
        {% if type == 'varchar' %}{{ name }}{% else %}{{ name }} as {{ name }}_text, try_cast({{ name }} as {{ type }}) as {{ name }}{% endif %}
        {%- endfor %}
    from {{ source('extracts', table) }}

),

judged as (

    select
        *,
        case
            {%- for rule, condition in checks %}
            when not ({{ condition }}) then '{{ rule }}'
            {%- endfor %}
        end as broken
    from typed

)

select
    delivery,
    kato,
    {%- for name in columns %}
    {{ name }},
    {%- endfor %}
    {%- if register %}
    snapshot_date,
    {%- endif %}
    broken,
    case when broken is not null then cast(to_json({
        'kato': kato
        {%- for name, type in columns.items() %}, '{{ name }}': {{ name ~ ('' if type == 'varchar' else '_text') }}{% endfor -%}
    }) as varchar) end as raw
from judged
{%- endmacro %}
