-- Grain: one row per event, those that sold nothing included.
with events as (select * from {{ ref('dim_event') }}),

artists as (select * from {{ ref('dim_artist') }}),

venues as (select * from {{ ref('dim_venue') }}),

event_money as (select * from {{ ref('event_money') }}),

checkins as (select * from {{ ref('fact_checkins') }}),

currencies as (
    select
        event_key,
        currency,
        row_number() over (partition by event_key order by tickets_recorded desc, currency asc) as preference
    from event_money
    where currency is not null
),

own_currencies as (
    select
        events.event_key,
        coalesce(events.currency, currencies.currency) as currency
    from events
    left join currencies on events.event_key = currencies.event_key and currencies.preference = 1
),

sold as (
    select
        event_key,
        sum(tickets_sold) as tickets_sold,
        sum(tickets_free) as tickets_free
    from event_money
    group by event_key
),

money as (
    select
        own_currencies.event_key,
        own_currencies.currency,
        coalesce(event_money.gross_revenue, 0) as gross_revenue,
        coalesce(event_money.refunds_amount, 0) as refunds_amount,
        coalesce(event_money.fees_amount, 0) as fees_amount,
        coalesce(event_money.tax_amount, 0) as tax_amount,
        coalesce(event_money.net_revenue, 0) as net_revenue
    from own_currencies
    left join event_money
        on
            own_currencies.event_key = event_money.event_key
            -- An `or` here would compare every event with every other.
            and own_currencies.currency is not distinct from event_money.currency
),

scanned as (
    select
        event_key,
        sum(case when is_attendance then 1 else 0 end) as attendance
    from checkins
    group by event_key
),

counted as (
    select
        events.event_key,
        coalesce(sold.tickets_sold, 0) as tickets_sold,
        coalesce(sold.tickets_free, 0) as tickets_free,
        coalesce(scanned.attendance, 0) as attendance,
        scanned.event_key is not null as is_checkin_tracked
    from events
    left join sold on events.event_key = sold.event_key
    left join scanned on events.event_key = scanned.event_key
)

select
    -- keys
    events.event_key,
    events.event_id,
    events.source,

    -- what, when, where
    events.event_name,
    events.event_date,
    events.status,
    events.artist_id,
    artists.artist_name,
    events.venue_id,
    venues.venue_name,
    venues.capacity as venue_capacity,

    -- seats
    events.capacity,
    events.capacity_source,
    cast(counted.tickets_sold as bigint) as tickets_sold,
    cast(counted.tickets_free as bigint) as tickets_free,
    cast(counted.attendance as bigint) as attendance,
    case
        when events.has_ended and not events.is_cancelled and counted.is_checkin_tracked
            then 1 - {{ ratio('counted.attendance', 'counted.tickets_sold') }}
    end as no_show_rate,
    {{ ratio('counted.tickets_sold', 'events.capacity') }} as sell_through,

    -- money
    {{ money('money.gross_revenue') }} as gross_revenue,
    {{ money('money.refunds_amount') }} as refunds_amount,
    {{ money('money.fees_amount') }} as fees_amount,
    {{ money('money.tax_amount') }} as tax_amount,
    {{ money('money.net_revenue') }} as net_revenue,
    money.currency,

    -- flags
    counted.is_checkin_tracked
from events
inner join counted on events.event_key = counted.event_key
inner join money on events.event_key = money.event_key
left join artists on events.artist_key = artists.artist_key
left join venues on events.venue_key = venues.venue_key
