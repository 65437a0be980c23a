{# Whether a lower-case status of an Eventbrite order or attendee says that no money was taken (yet). #}
{% macro eventbrite_unpaid(status) -%}
    coalesce({{ status }}, '') in ('unpaid', 'pending', 'started', 'abandoned')
{%- endmacro %}
