-- Grain: one row per event of any source, and an unknown one where rows with money name no event we have.
with events as (select * from {{ ref('events') }}),

ticket_classes as (select * from {{ ref('ticket_classes') }}),

venues as (select * from {{ ref('venues') }}),

-- One class without a limit leaves the whole without one. Classes of no event we know share the unknown one:
-- their sum is nobody's capacity.
seats as (
    select
        event_key,
        case
            when sum(case when is_unlimited or capacity is null then 1 else 0 end) = 0 then sum(capacity)
        end as capacity
    from ticket_classes
    where category = 'admission' and not is_deleted and event_key <> 'eventbrite-unknown'
    group by event_key
),

capacities as (
    select
        events.event_key,
        case when events.stated_capacity > 0 then events.stated_capacity end as of_event,
        case when seats.capacity > 0 then seats.capacity end as of_ticket_classes,
        case when venues.capacity > 0 then venues.capacity end as of_venue
    from events
    left join seats on events.event_key = seats.event_key
    left join venues on events.venue_key = venues.venue_key
)

select
    -- keys
    events.event_key,
    events.source,
    events.event_id,
    events.organization_id,
    events.series_id,
    events.artist_key,
    events.artist_id,
    events.venue_key,
    events.venue_id,
    {{ date_key('events.event_date') }} as date_key,

    -- what it is
    events.event_name,
    events.status,
    events.currency,
    events.timezone,

    -- when
    events.event_date,
    events.starts_at,
    events.starts_local,
    events.ends_at,

    -- how many fit
    cast(
        coalesce(capacities.of_event, capacities.of_ticket_classes, capacities.of_venue) as bigint
    ) as capacity,
    case
        when capacities.of_event is not null then 'event'
        when capacities.of_ticket_classes is not null then 'ticket_classes'
        when capacities.of_venue is not null then 'venue'
    end as capacity_source,

    -- flags
    events.has_ended,
    events.is_cancelled,
    events.is_deleted,
    events.is_online
from events
inner join capacities on events.event_key = capacities.event_key
