{# Text as it is compared: lower case, every run of what is neither letter nor digit one space, trimmed; null when
   nothing is left. #}
{% macro folded(text) -%} {{ return(adapter.dispatch('folded')(text)) }} {%- endmacro %}

{% macro duckdb__folded(text) -%}
    nullif(trim(regexp_replace(lower({{ text }}), '[^\pL\pN]+', ' ', 'g')), '')
{%- endmacro %}

{% macro postgres__folded(text) -%}
    nullif(trim(regexp_replace(lower({{ text }} collate "unicode"), '[^[:alnum:]]+', ' ', 'g')), '')
{%- endmacro %}

{% macro spark__folded(text) -%}
    nullif(trim(regexp_replace(lower({{ text }}), '[^\\p{L}\\p{N}]+', ' ')), '')
{%- endmacro %}
