-- Grain: one row per ticket, add-ons included. A deleted one stays while its money is in the sums.
-- A view: only who writes it pays for it.
{{ config(materialized='view') }}
with tickets as (
    select * from {{ ref('tickets') }}
    where source in ({{ synced_sources('airtable') }})
),

sales as (select * from {{ ref('sync_airtable__ticket_sales') }}),

checkins as (
    select * from {{ ref('checkins') }}
    where is_first
)

select
    -- what became of it
    tickets.ticket_id,
    coalesce(orders.ticket_sale_key, lone.ticket_sale_key) as ticket_sale_key,
    nullif(tickets.event_key, tickets.source || '-unknown') as event_key,
    tickets.ticket_class_name as ticket_type,
    tickets.status,
    tickets.is_seat,
    tickets.channel,
    tickets.sold_at,
    checkins.checked_in_at,

    -- money
    tickets.gross_amount,
    tickets.refunds_amount,
    tickets.fees_amount,
    tickets.tax_amount,
    {{ money('tickets.gross_amount - tickets.refunds_amount - tickets.fees_amount - tickets.tax_amount') }}
        as net_amount,
    tickets.currency,

    -- keys
    tickets.ticket_key
from tickets
left join sales as orders on tickets.order_key = orders.ticket_sale_key
left join sales as lone on 'ticket-' || tickets.ticket_key = lone.ticket_sale_key
left join checkins on tickets.ticket_key = checkins.ticket_key
where tickets.status <> 'deleted' or tickets.gross_amount <> 0 or tickets.refunds_amount <> 0
