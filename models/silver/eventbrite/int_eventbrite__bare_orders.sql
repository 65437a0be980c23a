-- Grain: one row per order that no ticket names: it has none, or its last one has left for another order.
select
    orders.order_id,
    'eventbrite-' || orders.order_id as order_key
from {{ ref('stg_eventbrite__orders') }} as orders
left join {{ ref('int_eventbrite__tickets') }} as tickets on orders.order_id = tickets.order_id
where tickets.order_id is null
