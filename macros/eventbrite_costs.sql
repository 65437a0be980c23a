{# The cost paths every order and attendee of Eventbrite has, for json_parsed. #}
{% macro eventbrite_cost_paths() -%}
    {{ return({
        'costs.gross.value': 'integer',
        'costs.gross.currency': 'text',
        'costs.eventbrite_fee.value': 'integer',
        'costs.payment_fee.value': 'integer',
        'costs.tax.value': 'integer',
    }) }}
{%- endmacro %}

{# The columns made of them, in minor units of their currency. A free order says 0 or nothing: both are 0.
   #}
{% macro eventbrite_costs(parsed) -%}
    coalesce({{ json_integer(parsed, 'costs.gross.value') }}, 0) as gross_minor,
    coalesce({{ json_integer(parsed, 'costs.eventbrite_fee.value') }}, 0)
    + coalesce({{ json_integer(parsed, 'costs.payment_fee.value') }}, 0) as fees_minor,
    coalesce({{ json_integer(parsed, 'costs.tax.value') }}, 0) as tax_minor,
    upper({{ json_text(parsed, 'costs.gross.currency') }}) as currency
{%- endmacro %}
