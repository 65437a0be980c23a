-- Grain: one row per order. Sheets have none.
{%- do renews_by('order_id') %}
{%- set terms = ref('int_eventbrite__terms') %}
with orders as (
    select * from {{ ref('stg_eventbrite__orders') }}
    {% if is_incremental() %}
        where
            build_number > {{ built_until() }}
            or event_id in (
                select id from {{ terms }}
                where kind = 'event' and build_number > {{ built_until() }}
            )
    {% endif %}
),

events as (select * from {{ ref('known_events') }}),

currencies as (select * from {{ ref('currencies') }})

select
    'eventbrite-' || orders.order_id as order_key,
    'eventbrite' as source,
    orders.order_id,
    coalesce(events.event_key, 'eventbrite-unknown') as event_key,
    case when orders.is_missing then 'deleted' else orders.status end as status,
    not orders.is_unpaid as is_paid,
    orders.created_at as ordered_at,
    coalesce(orders.currency, events.currency) as currency,
    {{ minor_to_major('orders.gross_minor', 'currencies.exponent') }} as gross_amount,
    -- Eventbrite shows this where nobody has filled the form in yet.
    case when lower(orders.buyer_name) <> 'info requested' then orders.buyer_name end as buyer_name,
    case when lower(orders.buyer_email) <> 'info requested' then orders.buyer_email end as buyer_email,
    {{ this_build() }} as build_number
from orders
left join events on 'eventbrite-' || orders.event_id = events.event_key
left join currencies on coalesce(orders.currency, events.currency) = currencies.currency
