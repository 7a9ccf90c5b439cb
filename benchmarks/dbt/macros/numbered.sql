{# Staged rows with their place in the table and their number in the file: staging keeps rows in order, file after file. #}
{% macro numbered(staged) -%}
(
    select staged.*, staged.rowid as place, staged.rowid - first_row.place + 1 as row_no
    from {{ staged }} as staged
    join (select delivery, min(rowid) as place from {{ staged }} group by delivery) as first_row using (delivery)
)
{%- endmacro %}
