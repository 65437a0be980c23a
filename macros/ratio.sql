{# A share of 0 to n; null when the whole is unknown or 0. Postgres divides integers into integers, so the
   cast is not decoration. #}
{% macro ratio(part, whole) -%}
    cast({{ part }} as {{ t_double() }}) / nullif({{ whole }}, 0)
{%- endmacro %}
