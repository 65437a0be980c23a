{# A sheet's time as UTC: known only when SHEETS_TIMEZONE says where the sheet's clock hung. #}
{% macro sheet_utc(local) -%}
    {%- if var('sheets_timezone') -%} {{ utc_ts(local, "'" ~ var('sheets_timezone') ~ "'") }}
    {%- else -%} cast(null as timestamp)
    {%- endif -%}
{%- endmacro %}
