-- Grain: one row per event that a line of civicrm_events.csv names: by its id, or by a name that no other
-- event bears. A deleted event counts only where no other bears the name.
{{ config(access='protected') }}
with lines as (
    select
        {{ present('eventbrite_event') }} as eventbrite_event,
        {{ present('civicrm_event') }} as civicrm_event,
        {{ present('fallback_role') }} as fallback_role
    from {{ ref('civicrm_events') }}
),

events as (
    select
        event_id,
        event_name,
        is_missing or coalesce(status, '') = 'deleted' as is_deleted
    from {{ ref('stg_eventbrite__events') }}
    -- A series parent sells nothing itself: its dates do.
    where not is_series_parent
),

named as (
    select
        event_name,
        count(*) as events_named,
        sum(case when is_deleted then 0 else 1 end) as events_listed
    from events
    group by event_name
),

found as (
    select
        events.event_id,
        events.event_name,
        lines.eventbrite_event,
        lines.civicrm_event,
        lines.fallback_role,
        case when lines.eventbrite_event = events.event_id then 1 else 2 end as preference
    from events
    left join named on events.event_name = named.event_name
    inner join lines
        on
            lines.eventbrite_event = events.event_id
            or (
                lines.eventbrite_event = events.event_name
                and lines.eventbrite_event not in (select known.event_id from events as known)
                and (
                    (named.events_listed = 1 and not events.is_deleted)
                    or (named.events_listed = 0 and named.events_named = 1)
                )
            )
    where lines.civicrm_event is not null
),

placed as (
    select
        found.*,
        row_number() over (
            partition by event_id
            order by preference, {{ bytewise('civicrm_event') }}
        ) as place
    from found
)

select
    event_id,
    event_name,
    eventbrite_event,
    civicrm_event,
    fallback_role
from placed
where place = 1
