{# A relation of the IANA time zone names the engine can convert, column name. An unknown name would stop
   the build. #}
{% macro known_timezones() -%} pg_timezone_names() {%- endmacro %}
