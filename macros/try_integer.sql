{# A whole number of at most eighteen digits, thousands commas where they belong allowed; null when it is none,
   so 12.5 is null and not 13. #}
{% macro try_integer(text) -%} {{ return(adapter.dispatch('try_integer')(text)) }} {%- endmacro %}

{% macro duckdb__try_integer(text) -%}
    case
        when regexp_full_match({{ text }}, '[+-]?([0-9]{1,18}|[0-9]{1,3}(,[0-9]{3}){1,5})')
            then cast(replace({{ text }}, ',', '') as bigint)
    end
{%- endmacro %}

{% macro postgres__try_integer(text) -%}
    case
        when {{ text }} ~ '^[+-]?([0-9]{1,18}|[0-9]{1,3}(,[0-9]{3}){1,5})$'
            then cast(replace({{ text }}, ',', '') as bigint)
    end
{%- endmacro %}

{% macro spark__try_integer(text) -%}
    case
        when {{ text }} rlike '^[+-]?([0-9]{1,18}|[0-9]{1,3}(,[0-9]{3}){1,5})$'
            then try_cast(replace({{ text }}, ',', '') as bigint)
    end
{%- endmacro %}
