-- The floor of silver and gold: what somebody would write by hand for the three marts over clean sheets, and no
-- more. Reads bronze_sheets, writes schema floor. Gives exactly the rows of gold.
create schema floor;

create temp table tickets as
select
    'sheets-' || ticket_id as ticket_key,
    'sheets-' || event_id as event_key,
    nullif(trim(regexp_replace(lower(channel), '[^a-z0-9]+', ' ', 'g')), '') as channel,
    cast(try_cast(purchase_datetime as timestamp) as date) as sold_date,
    try_cast(price_paid as decimal(18, 4)) as gross,
    upper(currency) as currency,
    status = 'valid' as is_valid
from bronze_sheets.tickets;

create temp table refunds as
select
    'sheets-' || refunds.ticket_id as ticket_key,
    tickets.event_key,
    tickets.channel,
    tickets.sold_date,
    tickets.currency,
    cast(try_cast(refunds.refunded_at as timestamp) as date) as refunded_date,
    try_cast(refunds.refund_amount as decimal(18, 4)) as amount
from bronze_sheets.refunds
inner join tickets on tickets.ticket_key = 'sheets-' || refunds.ticket_id;

create temp table events as
select
    'sheets-' || events.event_id as event_key,
    events.event_id,
    artists.name as event_name,
    cast(events.event_date as date) as event_date,
    events.status,
    events.artist_id,
    artists.name as artist_name,
    events.venue_id,
    venues.name as venue_name,
    cast(venues.capacity as bigint) as venue_capacity,
    upper(events.currency) as currency,
    events.status = 'cancelled' as is_cancelled
from bronze_sheets.events
left join bronze_sheets.artists on events.artist_id = artists.artist_id
left join bronze_sheets.venues on events.venue_id = venues.venue_id;

create table floor.event_sales as
with sold as (
    select
        event_key,
        sum(gross) as gross,
        count(*) filter (is_valid) as tickets_sold,
        count(*) filter (is_valid and gross = 0) as tickets_free
    from tickets
    group by event_key
),

returned as (select event_key, sum(amount) as refunds from refunds group by event_key),

came as (
    select
        'sheets-' || checkins.event_id as event_key,
        count(distinct checkins.ticket_id) filter (tickets.is_valid) as attendance
    from bronze_sheets.checkins
    inner join tickets on tickets.ticket_key = 'sheets-' || checkins.ticket_id
    group by 1
)

select
    events.event_key, events.event_id, 'sheets' as source, event_name, event_date, status, artist_id, artist_name,
    venue_id, venue_name, venue_capacity, venue_capacity as capacity, 'venue' as capacity_source,
    coalesce(tickets_sold, 0) as tickets_sold,
    coalesce(tickets_free, 0) as tickets_free,
    coalesce(attendance, 0) as attendance,
    case
        when event_date < date '2026-01-01' and not is_cancelled and came.event_key is not null
            then 1 - attendance / cast(nullif(tickets_sold, 0) as double)
    end as no_show_rate,
    coalesce(tickets_sold, 0) / cast(nullif(venue_capacity, 0) as double) as sell_through,
    coalesce(gross, 0) as gross_revenue,
    coalesce(refunds, 0) as refunds_amount,
    0 as fees_amount,
    0 as tax_amount,
    coalesce(gross, 0) - coalesce(refunds, 0) as net_revenue,
    events.currency,
    came.event_key is not null as is_checkin_tracked
from events
left join sold on events.event_key = sold.event_key
left join returned on events.event_key = returned.event_key
left join came on events.event_key = came.event_key;

create table floor.daily_metrics as
with sold as (
    select sold_date as date, currency, count(*) filter (is_valid) as tickets_sold, sum(gross) as gross
    from tickets
    group by sold_date, currency
),

returned as (
    select refunded_date as date, currency, sum(amount) as refunds from refunds group by refunded_date, currency
),

days as (
    select cast(day as date) as date, currency
    from (
        select min(date) as first, max(date) as last
        from (select date from sold union all select date from returned) as active
    ), generate_series(first, last, interval 1 day) as series(day),
    (select distinct currency from sold) as currencies
)

select
    days.date,
    days.currency,
    coalesce(tickets_sold, 0) as tickets_sold,
    coalesce(gross, 0) as gross_revenue,
    coalesce(refunds, 0) as refunds_amount,
    0 as fees_amount,
    0 as tax_amount,
    coalesce(gross, 0) - coalesce(refunds, 0) as net_revenue,
    case
        when count(*) over week = 7 then cast(sum(coalesce(gross, 0)) over week / 7 as decimal(18, 4))
    end as gross_revenue_7d_mean
from days
left join sold on days.date = sold.date and days.currency = sold.currency
left join returned on days.date = returned.date and days.currency = returned.currency
window week as (partition by days.currency order by days.date rows 6 preceding);

create table floor.campaign_roi as
with campaigns as (
    select
        'sheets-' || event_id as event_key,
        event_id,
        nullif(trim(regexp_replace(lower(channel), '[^a-z0-9]+', ' ', 'g')), '') as channel,
        cast(start_date as date) as first_date,
        cast(end_date as date) as last_date,
        cast(spend as decimal(18, 4)) as spend,
        cast(impressions as bigint) as impressions,
        cast(clicks as bigint) as clicks
    from bronze_sheets.campaigns
),

attributed as (
    select event_key, channel, sum(tickets) as conv_tickets, sum(gross) as gross
    from (
        select
            tickets.event_key,
            campaigns.channel,
            count(*) filter (is_valid) as tickets,
            sum(gross) as gross
        from tickets
        left join campaigns
            on tickets.event_key = campaigns.event_key
            and tickets.channel = campaigns.channel
            and tickets.sold_date between campaigns.first_date and campaigns.last_date
        group by tickets.event_key, campaigns.channel
    )
    group by event_key, channel
),

returned as (
    select refunds.event_key, campaigns.channel, sum(amount) as refunds
    from refunds
    left join campaigns
        on refunds.event_key = campaigns.event_key
        and refunds.channel = campaigns.channel
        and refunds.sold_date between campaigns.first_date and campaigns.last_date
    group by refunds.event_key, campaigns.channel
)

select
    events.event_id,
    spent.channel,
    spent.spend,
    spent.impressions,
    spent.clicks,
    coalesce(conv_tickets, 0) as conv_tickets,
    coalesce(gross, 0) - coalesce(refunds, 0) as conv_revenue,
    spent.spend / cast(nullif(conv_tickets, 0) as double) as cpa,
    (coalesce(gross, 0) - coalesce(refunds, 0) - spent.spend) / cast(nullif(spent.spend, 0) as double) as roi,
    events.currency
from (
    select event_key, channel, sum(spend) as spend, sum(impressions) as impressions, sum(clicks) as clicks
    from campaigns
    group by event_key, channel
) as spent
inner join events on spent.event_key = events.event_key
left join attributed on spent.event_key = attributed.event_key and spent.channel = attributed.channel
left join returned on spent.event_key = returned.event_key and spent.channel = returned.channel
union all
select
    events.event_id, 'unattributed', 0, 0, 0,
    coalesce(conv_tickets, 0),
    coalesce(gross, 0) - coalesce(refunds, 0),
    null, null,
    events.currency
from events
left join attributed on events.event_key = attributed.event_key and attributed.channel is null
left join returned on events.event_key = returned.event_key and returned.channel is null;
