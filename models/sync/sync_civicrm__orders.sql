-- Grain: one row per order of a mapped event, whether or not an attendee of it is there. A checkout that was
-- begun and not ended is none.
with mapped as (select * from {{ ref('int_eventbrite__mapped_orders') }}),

orders as (
    select * from {{ ref('orders') }}
    where source = 'eventbrite' and coalesce(status, '') not in ('started', 'abandoned')
),

currencies as (select * from {{ ref('currencies') }})

select
    -- keys
    mapped.order_id,
    mapped.event_id,
    mapped.event_name,
    mapped.civicrm_event,

    -- what became of it
    orders.status,
    orders.is_paid,
    mapped.is_offline,
    orders.ordered_at,
    mapped.changed_at,

    -- money
    orders.currency,
    currencies.exponent as currency_exponent,
    mapped.gross_minor,
    mapped.fees_minor
from mapped
inner join orders on mapped.order_id = orders.order_id
left join currencies on orders.currency = currencies.currency
