-- Grain: one row per ticket of any status. Nothing in it says who bought it.
select
    ticket_key,
    event_key,
    order_key,
    ticket_class_name,
    channel,
    {{ date_key('sold_date') }} as date_key,
    sold_at,
    sold_local,
    status,
    is_valid,
    is_seat,
    is_free,
    currency,
    gross_amount,
    refunds_amount,
    fees_amount,
    tax_amount
from {{ ref('tickets') }}
