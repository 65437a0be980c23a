-- Grain: one row per ticket of any status; nothing says who bought it. A projection of silver: a view, and
-- its ref leaves out the database, so that it also works in a file that was renamed or attached.
{{ config(materialized='view') }}
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
from {{ ref('tickets').include(database=false) }}
