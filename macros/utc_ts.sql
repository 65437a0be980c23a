{# A timestamp of a time zone's clock (IANA name) as UTC; neither carries a zone. The way back of local_ts.
   #}
{% macro utc_ts(local, timezone) -%} {{ return(adapter.dispatch('utc_ts')(local, timezone)) }} {%- endmacro %}

{% macro default__utc_ts(local, timezone) -%}
    timezone('UTC', timezone({{ timezone }}, {{ local }}))
{%- endmacro %}

{% macro spark__utc_ts(local, timezone) -%}
    convert_timezone({{ timezone }}, 'UTC', {{ local }})
{%- endmacro %}
