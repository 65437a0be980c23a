-- Grain: one row per ticket of any status; who bought it is a hash. A projection of silver: a view, and
-- its refs leave out the database, so that it also works in a file that was renamed or attached.
{{ config(materialized='view') }}
with tickets as (select * from {{ ref('tickets').include(database=false) }}),

links as (select * from {{ ref('person_links').include(database=false) }}),

people as (select * from {{ ref('people').include(database=false) }})

select
    tickets.ticket_key,
    tickets.event_key,
    tickets.order_key,
    people.customer_key,
    tickets.ticket_class_name,
    tickets.channel,
    {{ date_key('tickets.sold_date') }} as date_key,
    tickets.sold_at,
    tickets.sold_local,
    tickets.status,
    tickets.is_valid,
    tickets.is_seat,
    tickets.is_free,
    tickets.currency,
    tickets.gross_amount,
    tickets.refunds_amount,
    tickets.fees_amount,
    tickets.tax_amount
from tickets
left join links on tickets.source = links.source and {{ buyer_id('tickets') }} = links.person_id
left join people on links.person_key = people.person_key
