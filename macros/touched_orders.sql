{# The order_keys whose order, or any of whose tickets, this model has not seen as it is now. #}
{% macro touched_orders() -%}
    select order_key from {{ ref('tickets') }}
    where build_number > {{ built_until() }}
    union distinct
    select order_key from {{ ref('orders') }}
    where build_number > {{ built_until() }}
    union distinct
    select order_key from {{ ref('int_eventbrite__bare_orders') }}
{%- endmacro %}
