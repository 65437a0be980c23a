{# The flag at a dotted path of what json_parsed read as 'boolean'; false when there is none. #}
{% macro json_boolean(parsed, path) -%}
    {{ return(adapter.dispatch('json_boolean')(parsed, path)) }}
{%- endmacro %}

{% macro default__json_boolean(parsed, path) -%} coalesce({{ json_text(parsed, path) }}, false) {%- endmacro %}

{% macro postgres__json_boolean(parsed, path) -%}
    coalesce({{ json_text(parsed, path) }}, '') = 'true'
{%- endmacro %}
