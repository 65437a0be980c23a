{# The time as written, null when it is none. ISO 8601 only: YYYY-MM-DD, with an optional time after T or a
   space, optional seconds and fraction. Other orders of day and month are not guessed at. A trailing Z or
   offset is left off: it says where the clock hung, not what it showed. Only what has one pays for a
   pattern. #}
{% macro try_timestamp(text) -%} {{ return(adapter.dispatch('try_timestamp')(text)) }} {%- endmacro %}

{% macro duckdb__try_timestamp(text) -%}
    case
        when {{ text }} not like '____-__-__%' or {{ text }} like '0000%' or {{ text }} like '%(%' then null
        when length({{ text }}) <= 19 and substr({{ text }}, 17, 1) in ('', ':')
            then try_cast({{ text }} as timestamp)
        when length({{ text }}) = 20 and substr({{ text }}, 20, 1) = 'Z'
            then try_cast(substr({{ text }}, 1, 19) as timestamp)
        else
            try_cast(
                nullif(
                    regexp_extract({{ text }}, '{{ iso_timestamp_pattern() }}', 1), ''
                ) as timestamp
            )
    end
{%- endmacro %}

{% macro postgres__try_timestamp(text) -%}
    case
        when
            {{ text }} ~ '{{ iso_timestamp_pattern() }}'
            and pg_input_is_valid(substring({{ text }} from '{{ iso_timestamp_pattern() }}'), 'timestamp')
            then cast(substring({{ text }} from '{{ iso_timestamp_pattern() }}') as timestamp)
    end
{%- endmacro %}

{% macro spark__try_timestamp(text) -%}
    try_cast(
        nullif(
            regexp_extract({{ text }}, '{{ iso_timestamp_pattern() | replace("\\", "\\\\") }}', 1), ''
        ) as timestamp_ntz
    )
{%- endmacro %}

{% macro iso_timestamp_pattern() -%}
    ^([0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-5][0-9](?:\.[0-9]{1,6})?)?)?)(?:[0-9]*\s*(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?))?$
{%- endmacro %}
