{# An exact amount in major units. Sums widen decimals differently on each engine; this settles them. #}
{% macro money(amount) -%}
    cast({{ amount }} as decimal(18, 4))
{%- endmacro %}
