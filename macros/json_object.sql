{# A JSON text where it is an object, else null. #}
{% macro json_object(text) -%}
    case when substr({{ text }}, 1, 1) = '{{ "{" }}' then {{ text }} end
{%- endmacro %}
