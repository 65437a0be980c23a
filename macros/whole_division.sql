{# How often a whole number goes into another: 7 by 2 is 3. DuckDB's and Spark's slash would make 3.5 of it.
   #}
{% macro whole_division(part, whole) -%}
    {{ return(adapter.dispatch('whole_division')(part, whole)) }}
{%- endmacro %}

{% macro duckdb__whole_division(part, whole) -%} ({{ part }}) // ({{ whole }}) {%- endmacro %}

{% macro postgres__whole_division(part, whole) -%} ({{ part }}) / ({{ whole }}) {%- endmacro %}

{% macro spark__whole_division(part, whole) -%} ({{ part }}) div ({{ whole }}) {%- endmacro %}
