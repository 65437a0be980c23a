{# What a person entered, without surrounding blanks; null where nobody did, which Eventbrite shows as "Info
   Requested". #}
{% macro filled_in(text) -%}
    case when lower({{ text }}) not like '%info requested%' then {{ present(text) }} end
{%- endmacro %}
