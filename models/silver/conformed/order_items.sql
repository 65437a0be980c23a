-- Grain: one row per order that holds money beyond its attendees. It is money, no seat.
with balances as (select * from {{ ref('int_eventbrite__order_balances') }})

select
    'eventbrite-' || order_id as order_item_key,
    'eventbrite' as source,
    'eventbrite-' || order_id as order_key,
    order_id,
    event_key,
    'beyond_attendees' as kind,
    currency,
    created_at as sold_at,
    {{ local_ts('created_at', 'timezone') }} as sold_local,
    cast({{ local_ts('created_at', 'timezone') }} as date) as sold_date,
    gross_amount,
    fees_amount,
    tax_amount,
    cast(greatest(refunds_amount, 0) as {{ money_type() }}) as refunds_amount,
    refunded_at
from balances
-- An order lowered while its attendees were not is an item of refunds alone.
where gross_amount > 0 or (gross_amount = 0 and refunds_amount > 0)
