{# A sheet's number as money; null when it is none. Plain decimals, and with one currency sign and thousands
   commas where they belong ("$1,234.50"). "20,50" is not guessed at: null. Only what is not plain pays for
   a pattern. #}
{% macro try_number(text) -%} {{ return(adapter.dispatch('try_number')(text)) }} {%- endmacro %}

{% macro duckdb__try_number(text) -%}
    coalesce(
        case
            when not contains(lower({{ text }}), 'e') and not contains({{ text }}, '_')
                then try_cast({{ text }} as {{ money_type() }})
        end,
        case
            when regexp_full_match({{ text }}, '-?\s*[$€£¥]?\s*-?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]*)?')
                then try_cast(regexp_replace({{ text }}, '[$€£¥,\s]', '', 'g') as {{ money_type() }})
        end
    )
{%- endmacro %}

{% macro postgres__try_number(text) -%}
    cast(case
        when
            {{ text }} ~ '^\s*[+-]?([0-9]{1,14}(\.[0-9]*)?|\.[0-9]+)\s*$'
            and pg_input_is_valid({{ text }}, 'numeric(18, 4)')
            then cast({{ text }} as {{ money_type() }})
        when
            {{ text }} ~ '^-?\s*[$€£¥]?\s*-?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]*)?$'
            and pg_input_is_valid(regexp_replace({{ text }}, '[$€£¥,\s]', '', 'g'), 'numeric(18, 4)')
            then cast(regexp_replace({{ text }}, '[$€£¥,\s]', '', 'g') as {{ money_type() }})
    end as {{ money_type() }})
{%- endmacro %}

{% macro spark__try_number(text) -%}
    case
        when {{ text }} rlike '^-?\\s*[$€£¥]?\\s*-?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\\.[0-9]*)?$'
            then try_cast(regexp_replace({{ text }}, '[$€£¥,\\s]', '') as {{ money_type() }})
    end
{%- endmacro %}
