{# The whole number at a dotted path of what json_parsed read as 'integer'; null when there is none. #}
{% macro json_integer(parsed, path) -%}
    {{ return(adapter.dispatch('json_integer')(parsed, path)) }}
{%- endmacro %}

{% macro default__json_integer(parsed, path) -%} {{ json_text(parsed, path) }} {%- endmacro %}

{% macro postgres__json_integer(parsed, path) -%}
    {{ try_integer('(' ~ json_text(parsed, path) ~ ')') }}
{%- endmacro %}
