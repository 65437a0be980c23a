{# The run's one clock, a UTC timestamp without zone. No model asks the engine what time it is. #}
{% macro as_of() -%}
    cast('{{ var("as_of") }}' as timestamp)
{%- endmacro %}
