-- Grain: one row per record of a table that is mapped as events. `_text` is a cell that was parsed, as it is.
with cells as (
    select * from {{ ref('base_airtable__cells') }}
    where role = 'event'
),

timezones as (
    select name from {{ known_timezones() }}
),

source as (
    select
        record_id,
        {{ airtable_column('event_id') }} as same_as,
        {{ airtable_column('event_name') }} as event_name,
        {{ airtable_column('artist_id') }} as artist_id,
        {{ airtable_column('venue_id') }} as venue_id,
        {{ airtable_column('event_date') }} as event_date_text,
        {{ airtable_column('event_date', 'timezone') }} as event_date_zone,
        {{ airtable_column('starts_at') }} as starts_at_text,
        {{ airtable_column('starts_at', 'timezone') }} as starts_at_zone,
        {{ airtable_column('ends_at') }} as ends_at_text,
        {{ airtable_column('timezone') }} as timezone_text,
        {{ airtable_column('status') }} as status,
        {{ airtable_column('currency') }} as currency,
        {{ airtable_column('stated_capacity') }} as stated_capacity_text
    from cells
    group by record_id
)

select
    -- keys
    'airtable-' || source.record_id as event_key,
    'airtable' as source,
    source.record_id as event_id,
    source.same_as,
    source.artist_id,
    source.venue_id,

    -- cells
    source.event_name,
    lower(source.status) as status,
    upper(source.currency) as currency,
    source.timezone_text,
    timezones.name as timezone,
    coalesce(timezones.name, source.starts_at_zone) as starts_zone,
    source.event_date_text,
    {{ airtable_date('source.event_date_text', 'coalesce(timezones.name, source.event_date_zone)') }}
        as event_date,
    source.starts_at_text,
    {{ airtable_time('source.starts_at_text') }} as starts_at,
    source.ends_at_text,
    {{ airtable_time('source.ends_at_text') }} as ends_at,
    source.stated_capacity_text,
    {{ try_integer('source.stated_capacity_text') }} as stated_capacity
from source
left join timezones on source.timezone_text = timezones.name
