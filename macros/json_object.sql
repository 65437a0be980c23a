{# A JSON text where it is an object, else null. #}
{% macro json_object(text) -%} {{ return(adapter.dispatch('json_object')(text)) }} {%- endmacro %}

{% macro duckdb__json_object(text) -%}
    case when json_valid({{ text }}) and substr({{ text }}, 1, 1) = '{{ "{" }}' then {{ text }} end
{%- endmacro %}

{% macro postgres__json_object(text) -%}
    case
        when pg_input_is_valid({{ text }}, 'jsonb') and substr({{ text }}, 1, 1) = '{{ "{" }}' then {{ text }}
    end
{%- endmacro %}

{% macro default__json_object(text) -%}
    case when substr({{ text }}, 1, 1) = '{{ "{" }}' then {{ text }} end
{%- endmacro %}
