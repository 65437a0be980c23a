-- Grain: one row per attendee of a mapped event, which is one admission; add-ons and donations are money of
-- their order. The tickets of a checkout that was begun and not ended are none.
with events as (select * from {{ ref('int_eventbrite__mapped_events') }}),

attendees as (select * from {{ ref('int_eventbrite__mapped_attendees') }}),

tickets as (
    select * from {{ ref('tickets') }}
    where source = 'eventbrite' and is_seat
),

begun as (
    select order_id from {{ ref('orders') }}
    where source = 'eventbrite' and status in ('started', 'abandoned')
),

lines as (
    select
        {{ present('eventbrite_event') }} as eventbrite_event,
        {{ present('ticket_class') }} as ticket_class,
        {{ present('civicrm_role') }} as civicrm_role
    from {{ ref('civicrm_roles') }}
),

registered as (
    select
        attendees.*,
        events.event_name,
        events.civicrm_event,
        events.fallback_role,
        tickets.ticket_class_name,
        tickets.status,
        tickets.currency
    from attendees
    inner join events on attendees.event_id = events.event_id
    inner join tickets on attendees.ticket_id = tickets.ticket_id
    left join begun on attendees.order_id = begun.order_id
    where begun.order_id is null
),

classes as (
    select distinct
        event_id,
        event_name,
        coalesce(ticket_class_id, '') as ticket_class_id,
        coalesce(ticket_class_name, '') as ticket_class_name
    from registered
),

-- The more a line says, the more it counts: a class by its id, then the event by its id, then by its name.
candidates as (
    select
        classes.event_id,
        classes.ticket_class_id,
        classes.ticket_class_name,
        lines.civicrm_role,
        row_number() over (
            partition by classes.event_id, classes.ticket_class_id, classes.ticket_class_name
            order by
                case when lines.ticket_class = classes.ticket_class_id then 1 else 2 end,
                case
                    when lines.eventbrite_event = classes.event_id then 1
                    when lines.eventbrite_event is not null then 2
                    else 3
                end,
                {{ bytewise('lines.civicrm_role') }}
        ) as place
    from classes
    inner join lines
        on
            (lines.ticket_class = classes.ticket_class_id or lines.ticket_class = classes.ticket_class_name)
            and (
                lines.eventbrite_event is null
                or lines.eventbrite_event = classes.event_id
                or lines.eventbrite_event = classes.event_name
            )
    where lines.civicrm_role is not null
)

select
    -- keys
    registered.ticket_id as attendee_id,
    registered.order_id,
    registered.event_id,
    registered.civicrm_event,
    registered.ticket_class_id,
    registered.ticket_class_name,

    -- what became of it
    registered.status,
    registered.is_gone,
    registered.is_checked_in,

    -- people
    registered.first_name,
    registered.last_name,
    registered.email,
    registered.work_phone,
    registered.address_1,
    registered.address_2,
    registered.city,
    registered.region,
    registered.postal_code,
    registered.country,

    -- times
    registered.created_at,
    registered.changed_at,

    -- money
    registered.gross_minor,
    registered.fees_minor,
    registered.currency,

    -- what it is to be there
    coalesce(candidates.civicrm_role, registered.fallback_role) as civicrm_role
from registered
left join candidates
    on
        registered.event_id = candidates.event_id
        and coalesce(registered.ticket_class_id, '') = candidates.ticket_class_id
        and coalesce(registered.ticket_class_name, '') = candidates.ticket_class_name
        and candidates.place = 1
