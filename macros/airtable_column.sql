{# What base_airtable__cells holds of a mapped column, in a select grouped by record_id: its `value`, its
   `timezone`. #}
{% macro airtable_column(name, part='value') -%}
    max(case when column_name = '{{ name }}' then {{ part }} end)
{%- endmacro %}
