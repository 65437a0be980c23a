{# Text as it is compared: lower case, every run of what is neither letter nor digit one space, trimmed;
   null when nothing is left. On Postgres a collation that knows every alphabet, whatever the database's own
   is (17 and later). #}
{% macro folded(text) -%} {{ return(adapter.dispatch('folded')(text)) }} {%- endmacro %}

{% macro duckdb__folded(text) -%}
    nullif(trim(regexp_replace(lower({{ text }}), '[^\pL0-9]+', ' ', 'g')), '')
{%- endmacro %}

{% macro postgres__folded(text) -%}
    nullif(trim(regexp_replace(lower({{ text }} collate "pg_c_utf8"), '[^[:alpha:]0-9]+', ' ', 'g')), '') collate "default"
{%- endmacro %}

{% macro spark__folded(text) -%}
    nullif(trim(regexp_replace(lower({{ text }}), '[^\\p{L}0-9]+', ' ')), '')
{%- endmacro %}
