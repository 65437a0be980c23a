-- Grain: one row per event and day before it, from the first day on which anything was sold or refunded to
-- the last such day, and at least to the event or to as_of, whichever is earlier; days without either are
-- zeros. What has no usable day, and all of an event without one, is one row without days, so that sums are
-- the whole.
with events as (select * from {{ ref('event_sales') }}),

tickets as (select * from {{ ref('tickets') }}),

order_items as (select * from {{ ref('order_items') }}),

refunds as (select * from {{ ref('refunds') }}),

calendar as (
    select full_date from {{ ref('dim_date') }}
    where full_date is not null
),

entries as (
    select
        event_key,
        currency,
        sold_date as day,
        sum(case when is_valid and is_seat then 1 else 0 end) as tickets_sold,
        {{ money('sum(gross_amount)') }} as gross_revenue,
        {{ money('0') }} as refunds_amount
    from tickets
    group by event_key, currency, sold_date
    union all
    select
        event_key,
        currency,
        sold_date as day,
        0 as tickets_sold,
        {{ money('sum(gross_amount)') }} as gross_revenue,
        {{ money('0') }} as refunds_amount
    from order_items
    group by event_key, currency, sold_date
    union all
    select
        event_key,
        currency,
        refunded_date as day,
        0 as tickets_sold,
        {{ money('0') }} as gross_revenue,
        {{ money('sum(amount)') }} as refunds_amount
    from refunds
    group by event_key, currency, refunded_date
),

-- Tickets in every currency, money in the event's own.
own_entries as (
    select
        entries.event_key,
        case
            when {{ date_key('events.event_date') }} <> -1 and {{ date_key('entries.day') }} <> -1
                then entries.day
        end as day,
        entries.tickets_sold,
        case when coalesce(entries.currency, '') = coalesce(events.currency, '') then 1 else 0 end
        * entries.gross_revenue as gross_revenue,
        case when coalesce(entries.currency, '') = coalesce(events.currency, '') then 1 else 0 end
        * entries.refunds_amount as refunds_amount
    from entries
    inner join events on entries.event_key = events.event_key
),

activity as (
    select * from own_entries
    where tickets_sold <> 0 or gross_revenue <> 0 or refunds_amount <> 0
),

spans as (
    select
        events.event_key,
        min(activity.day) as first_day,
        greatest(
            max(activity.day),
            least(max(events.event_date), cast({{ as_of() }} as date))
        ) as last_day
    from activity
    inner join events on activity.event_key = events.event_key
    where activity.day is not null
    group by events.event_key
),

padded as (
    select
        event_key,
        day,
        tickets_sold,
        gross_revenue,
        refunds_amount
    from activity
    union all
    select
        spans.event_key,
        calendar.full_date as day,
        0 as tickets_sold,
        0 as gross_revenue,
        0 as refunds_amount
    from spans
    inner join calendar on calendar.full_date between spans.first_day and spans.last_day
),

days as (
    select
        event_key,
        day,
        sum(tickets_sold) as tickets_sold,
        sum(gross_revenue) as gross_revenue,
        sum(refunds_amount) as refunds_amount
    from padded
    group by event_key, day
),

to_date as (
    select
        days.*,
        sum(tickets_sold) over so_far as tickets_sold_to_date,
        sum(gross_revenue) over so_far as gross_revenue_to_date,
        sum(refunds_amount) over so_far as refunds_amount_to_date
    from days
    -- The row without a day stands apart, so that it is on nobody's way.
    window so_far as (
        partition by event_key, case when day is null then 1 else 0 end
        order by day
        rows between unbounded preceding and current row
    )
)

select
    events.event_key,
    cast({{ dbt.datediff('to_date.day', 'events.event_date', 'day') }} as integer) as days_before_event,
    to_date.day as date,
    {{ date_key('to_date.day') }} as date_key,
    events.currency,
    events.capacity,
    cast(to_date.tickets_sold as bigint) as tickets_sold,
    {{ money('to_date.gross_revenue') }} as gross_revenue,
    {{ money('to_date.refunds_amount') }} as refunds_amount,
    cast(case when to_date.day is not null then to_date.tickets_sold_to_date end as bigint)
        as tickets_sold_to_date,
    {{ money('case when to_date.day is not null then to_date.gross_revenue_to_date end') }}
        as gross_revenue_to_date,
    {{ money('case when to_date.day is not null then to_date.refunds_amount_to_date end') }}
        as refunds_amount_to_date
from to_date
inner join events on to_date.event_key = events.event_key
