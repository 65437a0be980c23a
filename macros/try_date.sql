{# The day of an ISO date or date and time; null when it is none. #}
{% macro try_date(text) -%} cast({{ try_timestamp(text) }} as date) {%- endmacro %}
