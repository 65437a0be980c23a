{# A UTC timestamp as the clock showed it in a time zone (IANA name); neither carries a zone. Null zone:
   null. #}
{% macro local_ts(utc, timezone) -%} {{ return(adapter.dispatch('local_ts')(utc, timezone)) }} {%- endmacro %}

{% macro default__local_ts(utc, timezone) -%}
    timezone({{ timezone }}, timezone('UTC', {{ utc }}))
{%- endmacro %}

{% macro spark__local_ts(utc, timezone) -%}
    convert_timezone('UTC', {{ timezone }}, {{ utc }})
{%- endmacro %}
