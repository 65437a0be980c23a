{# The moment of a date and time in an Airtable cell, UTC; null when it is none. #}
{% macro airtable_time(text) -%}
    case when {{ text }} like '%Z' then {{ try_timestamp(text) }} end
{%- endmacro %}

{# The day of an Airtable cell: that of a date as written, that of a date and time on the clock of its zone;
   null when it is neither. #}
{% macro airtable_date(text, zone) -%}
    case
        when {{ text }} like '%Z' then cast({{ local_ts(airtable_time(text), zone) }} as date)
        else {{ try_date(text) }}
    end
{%- endmacro %}
