{# Before every dbt command that builds: what DuckDB may hold in memory. Other engines have their own. #}
{% macro memory_limit() -%}
    {%- if execute and target.type == 'duckdb' and var('memory_limit') -%}
        {%- do run_query("set memory_limit = '" ~ var('memory_limit') ~ "'") -%}
    {%- endif -%}
{%- endmacro %}
