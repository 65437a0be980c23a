-- Grain: one row per event that a source describes. `events` adds the unknown members.
{{ config(access='private') }}
with eventbrite as (select * from {{ ref('stg_eventbrite__events') }}),

sheet as (select * from {{ ref('stg_sheets__events') }}),

sheet_events as (select * from {{ ref('int_sheets__event_keys') }}),

airtable as (select * from {{ ref('stg_airtable__events') }}),

airtable_events as (select * from {{ ref('int_airtable__event_keys') }}),

left_out as (
    select * from {{ ref('int_sheets__left_out') }}
    where sheet = 'events'
),

artists as (select * from {{ ref('artists') }}),

venue_links as (select * from {{ ref('venue_links') }}),

-- Records that boxoffice wrote are no source, and people may well link to them.
written_venues as (
    select distinct
        written.record_id,
        venue_links.venue_key
    from {{ source('ops', 'airtable_keys') }} as written
    inner join venue_links on written.key = venue_links.venue_key
),

timezones as (
    select name from {{ known_timezones() }}
),

-- Eventbrite knows no artists: the event of the sheet that it is says who plays.
performers as (
    select
        event_key,
        artist_key,
        artist_id
    from (
        select
            sheet_events.event_key,
            artists.artist_key,
            sheet.artist_id,
            row_number() over (partition by sheet_events.event_key order by sheet.event_id) as place
        from sheet
        left join left_out on sheet.record = left_out.record and sheet.file = left_out.file
        inner join sheet_events on sheet.event_id = sheet_events.event_id
        inner join artists on 'sheets-' || sheet.artist_id = artists.artist_key
        where left_out.record is null and sheet_events.is_linked
    ) as placed
    where place = 1
)

select
    'eventbrite-' || eventbrite.event_id as event_key,
    'eventbrite' as source,
    eventbrite.event_id,
    eventbrite.event_name,
    eventbrite.organization_id,
    eventbrite.series_id,
    performers.artist_key,
    performers.artist_id,
    venue_links.venue_key,
    eventbrite.venue_id,
    eventbrite.status,
    coalesce(eventbrite.status, '') in ('canceled', 'cancelled') as is_cancelled,
    eventbrite.is_missing or coalesce(eventbrite.status, '') = 'deleted' as is_deleted,
    cast(eventbrite.starts_local as date) as event_date,
    eventbrite.starts_at,
    eventbrite.starts_local,
    eventbrite.ends_at,
    timezones.name as timezone,
    coalesce(eventbrite.ends_at < {{ as_of() }}, false) as has_ended,
    eventbrite.currency,
    case when eventbrite.capacity > 0 then eventbrite.capacity end as stated_capacity,
    eventbrite.is_online
from eventbrite
left join venue_links on eventbrite.venue_id = venue_links.venue_id and venue_links.source = 'eventbrite'
left join timezones on eventbrite.timezone = timezones.name
left join performers on 'eventbrite-' || eventbrite.event_id = performers.event_key
-- A series parent sells nothing itself: its dates do.
where not eventbrite.is_series_parent
union all
select
    'sheets-' || sheet.event_id as event_key,
    'sheets' as source,
    sheet.event_id,
    artists.artist_name as event_name,
    cast(null as {{ dbt.type_string() }}) as organization_id,
    cast(null as {{ dbt.type_string() }}) as series_id,
    artists.artist_key,
    sheet.artist_id,
    venue_links.venue_key,
    sheet.venue_id,
    sheet.status,
    coalesce(sheet.status, '') in ('canceled', 'cancelled') as is_cancelled,
    coalesce(sheet.status, '') = 'deleted' as is_deleted,
    sheet.event_date,
    cast(null as timestamp) as starts_at,
    cast(null as timestamp) as starts_local,
    cast(null as timestamp) as ends_at,
    cast(null as {{ dbt.type_string() }}) as timezone,
    coalesce(sheet.event_date < cast({{ as_of() }} as date), false) as has_ended,
    sheet.currency,
    cast(null as bigint) as stated_capacity,
    false as is_online
from sheet
left join left_out on sheet.record = left_out.record and sheet.file = left_out.file
inner join sheet_events on sheet.event_id = sheet_events.event_id
left join artists on 'sheets-' || sheet.artist_id = artists.artist_key
left join venue_links on sheet.venue_id = venue_links.venue_id and venue_links.source = 'sheets'
-- A linked one is the Eventbrite event.
where left_out.record is null and not sheet_events.is_linked
union all
select
    airtable.event_key,
    airtable.source,
    airtable.event_id,
    airtable.event_name,
    cast(null as {{ dbt.type_string() }}) as organization_id,
    cast(null as {{ dbt.type_string() }}) as series_id,
    coalesce(own_artists.artist_key, sheet_artists.artist_key) as artist_key,
    airtable.artist_id,
    coalesce(
        own_venues.venue_key, written_venues.venue_key, sheet_venues.venue_key, online_venues.venue_key
    ) as venue_key,
    airtable.venue_id,
    airtable.status,
    coalesce(airtable.status, '') in ('canceled', 'cancelled') as is_cancelled,
    coalesce(airtable.status, '') = 'deleted' as is_deleted,
    coalesce(
        airtable.event_date, cast({{ local_ts('airtable.starts_at', 'airtable.starts_zone') }} as date)
    ) as event_date,
    airtable.starts_at,
    {{ local_ts('airtable.starts_at', 'airtable.starts_zone') }} as starts_local,
    airtable.ends_at,
    airtable.timezone,
    coalesce(
        airtable.ends_at < {{ as_of() }},
        coalesce(
            airtable.event_date, cast({{ local_ts('airtable.starts_at', 'airtable.starts_zone') }} as date)
        ) < cast({{ as_of() }} as date),
        false
    ) as has_ended,
    airtable.currency,
    case when airtable.stated_capacity > 0 then airtable.stated_capacity end as stated_capacity,
    false as is_online
from airtable
inner join airtable_events on airtable.event_id = airtable_events.event_id
left join artists as own_artists on 'airtable-' || airtable.artist_id = own_artists.artist_key
left join artists as sheet_artists on 'sheets-' || airtable.artist_id = sheet_artists.artist_key
left join venue_links as own_venues
    on airtable.venue_id = own_venues.venue_id and own_venues.source = 'airtable'
left join venue_links as sheet_venues
    on airtable.venue_id = sheet_venues.venue_id and sheet_venues.source = 'sheets'
left join venue_links as online_venues
    on airtable.venue_id = online_venues.venue_id and online_venues.source = 'eventbrite'
left join written_venues on airtable.venue_id = written_venues.record_id
-- One that people say is a sheet's or Eventbrite's event is that event.
where not airtable_events.is_linked
