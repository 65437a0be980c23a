{# The person_id in person_links of who bought a ticket: the order's buyer, or the customer of the sheet. #}
{% macro buyer_id(tickets) -%}
    case {{ tickets }}.source when 'eventbrite' then 'order-' || {{ tickets }}.order_id else {{ tickets }}.customer_id end
{%- endmacro %}
