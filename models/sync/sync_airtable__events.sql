-- Grain: one row per event. One that was deleted stays while a ticket or an order names it: its money is in
-- the sums. The `unknown` event is none.
with sales as (
    select * from {{ ref('event_sales') }}
    where source in ({{ synced_sources('airtable') }}) and event_id <> 'unknown'
),

events as (select * from {{ ref('dim_event') }}),

told as (
    select
        sales.event_key,
        case when events.is_deleted then 'deleted' else sales.status end as status,
        case when sales.is_checkin_tracked then sales.attendance end as attendance
    from sales
    inner join events on sales.event_key = events.event_key
),

named as (
    select event_key from {{ ref('tickets') }}
    union
    select event_key from {{ ref('orders') }}
)

select
    -- what, when, where
    sales.event_name,
    sales.event_date,
    told.status,
    events.venue_key,
    events.starts_at,
    events.ends_at,
    events.timezone,
    events.is_online,

    -- how full, and who came
    sales.capacity,
    sales.tickets_sold,
    sales.sell_through,
    told.attendance,
    sales.no_show_rate,

    -- money
    sales.gross_revenue,
    sales.refunds_amount,
    sales.fees_amount,
    sales.tax_amount,
    sales.net_revenue,
    sales.currency,

    -- keys
    sales.event_id,
    sales.event_key
from sales
inner join events on sales.event_key = events.event_key
inner join told on sales.event_key = told.event_key
left join named on sales.event_key = named.event_key
where not events.is_deleted or named.event_key is not null
