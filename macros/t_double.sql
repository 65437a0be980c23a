{# A 64-bit float, for rates only. dbt's own float type is 32 bits wide on DuckDB. #}
{% macro t_double() -%} {{ return(adapter.dispatch('t_double')()) }} {%- endmacro %}

{% macro default__t_double() -%} double {%- endmacro %}

{% macro postgres__t_double() -%} double precision {%- endmacro %}
