-- Grain: one row per event kept in Airtable, with the key it goes by: that of the event of a sheet or of
-- Eventbrite whose id people have put into it, else its own.
with airtable as (select * from {{ ref('stg_airtable__events') }}),

sheet_events as (select * from {{ ref('int_sheets__event_keys') }}),

online as (
    select event_id from {{ ref('stg_eventbrite__events') }}
    where not is_series_parent
)

select
    airtable.event_id,
    airtable.same_as,
    coalesce(sheet_events.event_key, 'eventbrite-' || online.event_id, airtable.event_key) as event_key,
    sheet_events.event_id is not null or online.event_id is not null as is_linked
from airtable
left join sheet_events on airtable.same_as = sheet_events.event_id
left join online on airtable.same_as = online.event_id
