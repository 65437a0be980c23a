{# The text that base_airtable__cells holds of a mapped column, in a select grouped by record_id. #}
{% macro airtable_column(name) -%}
    max(case when column_name = '{{ name }}' then value end)
{%- endmacro %}
