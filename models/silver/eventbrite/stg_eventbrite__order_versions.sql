-- Grain: one row per earlier version of an order.
{%- do renews_by('order_id') %}
select versions.*
from ({{ eventbrite_versions(ref('stg_eventbrite__orders'), 'orders', 'order_id') }}) as versions
