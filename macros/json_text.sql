{# The text at a dotted path of what json_parsed read; null when any step is missing. #}
{% macro json_text(parsed, path) -%} {{ return(adapter.dispatch('json_text')(parsed, path)) }} {%- endmacro %}

{% macro duckdb__json_text(parsed, path) -%}
    {{ parsed }}
    {%- for step in path.split('.') -%}
        {%- if step | int(-1) >= 0 -%} [{{ step | int + 1 }}] {%- else -%} ."{{ step }}" {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{% macro postgres__json_text(parsed, path) -%} {{ parsed }} #>> '{ {{- path | replace('.', ',') -}} }' {%- endmacro %}

{% macro spark__json_text(parsed, path) -%}
    {{ parsed }}
    {%- for step in path.split('.') -%}
        {%- if step | int(-1) >= 0 -%} [{{ step }}] {%- else -%} .`{{ step }}` {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
