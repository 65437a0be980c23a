-- Grain: one row per event and channel it has campaigns in, and one `unattributed` row per event for all
-- that no campaign can claim; the rows of an event add up to its sales.
with events as (select * from {{ ref('event_sales') }}),

campaigns as (select * from {{ ref('campaigns') }}),

tickets as (select * from {{ ref('tickets') }}),

channels as (
    select
        event_key,
        channel,
        sum(spend_amount) as spend,
        sum(impressions) as impressions,
        sum(clicks) as clicks
    from campaigns
    group by event_key, channel
),

sold as (
    select
        tickets.event_key,
        tickets.channel,
        tickets.sold_date,
        tickets.currency,
        sum(case when tickets.is_valid and tickets.is_seat then 1 else 0 end) as tickets_sold,
        sum(tickets.gross_amount - tickets.refunds_amount) as revenue
    from tickets
    inner join channels on tickets.event_key = channels.event_key and tickets.channel = channels.channel
    where tickets.sold_date is not null
    group by tickets.event_key, tickets.channel, tickets.sold_date, tickets.currency
),

-- However many campaigns of the channel cover a day, its sales count once.
attributed as (
    select
        sold.event_key,
        sold.channel,
        sum(sold.tickets_sold) as tickets_sold,
        sum(
            case
                when sold.currency = events.currency or (sold.currency is null and events.currency is null)
                    then sold.revenue
                else 0
            end
        ) as revenue
    from sold
    inner join events on sold.event_key = events.event_key
    where
        exists (
            select 1
            from campaigns
            where
                campaigns.event_key = sold.event_key
                and campaigns.channel = sold.channel
                and (campaigns.start_date is null or campaigns.start_date <= sold.sold_date)
                and (campaigns.end_date is null or campaigns.end_date >= sold.sold_date)
        )
    group by sold.event_key, sold.channel
),

claimed as (
    select
        event_key,
        sum(tickets_sold) as tickets_sold,
        sum(revenue) as revenue
    from attributed
    group by event_key
),

entries as (
    select
        channels.event_key,
        channels.channel,
        channels.spend,
        channels.impressions,
        channels.clicks,
        coalesce(attributed.tickets_sold, 0) as conv_tickets,
        coalesce(attributed.revenue, 0) as conv_revenue
    from channels
    left join attributed
        on channels.event_key = attributed.event_key and channels.channel = attributed.channel
    union all
    select
        events.event_key,
        'unattributed' as channel,
        0 as spend,
        0 as impressions,
        0 as clicks,
        events.tickets_sold - coalesce(claimed.tickets_sold, 0) as conv_tickets,
        events.gross_revenue - events.refunds_amount - coalesce(claimed.revenue, 0) as conv_revenue
    from events
    left join claimed on events.event_key = claimed.event_key
),

-- A campaign in a channel that is itself called unattributed shares that row.
rows_of_events as (
    select
        event_key,
        channel,
        {{ money('sum(spend)') }} as spend,
        cast(sum(impressions) as bigint) as impressions,
        cast(sum(clicks) as bigint) as clicks,
        cast(sum(conv_tickets) as bigint) as conv_tickets,
        {{ money('sum(conv_revenue)') }} as conv_revenue
    from entries
    group by event_key, channel
)

select
    rows_of_events.event_key,
    events.event_id,
    events.source,
    rows_of_events.channel,
    rows_of_events.spend,
    rows_of_events.impressions,
    rows_of_events.clicks,
    rows_of_events.conv_tickets,
    rows_of_events.conv_revenue,
    case
        when rows_of_events.channel <> 'unattributed'
            then {{ ratio('rows_of_events.spend', 'rows_of_events.conv_tickets') }}
    end as cpa,
    case
        when rows_of_events.channel <> 'unattributed'
            then {{ ratio('rows_of_events.conv_revenue - rows_of_events.spend', 'rows_of_events.spend') }}
    end as roi,
    events.currency
from rows_of_events
inner join events on rows_of_events.event_key = events.event_key
