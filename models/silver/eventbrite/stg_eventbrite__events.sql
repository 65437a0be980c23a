-- Grain: one row per event, a series parent included.
with source as (
    select
        id,
        organization_id,
        venue_id,
        series_id,
        missing_since,
        {{ json_parsed('payload', {
            'name.text': 'text',
            'status': 'text',
            'currency': 'text',
            'capacity': 'integer',
            'start.utc': 'text',
            'start.local': 'text',
            'start.timezone': 'text',
            'end.utc': 'text',
            'online_event': 'boolean',
            'is_series_parent': 'boolean',
        }) }} as parsed
    from {{ source('eventbrite', 'events') }}
)

select
    -- keys
    id as event_id,
    organization_id,
    venue_id,
    series_id,

    -- words
    {{ present(json_text('parsed', 'name.text')) }} as event_name,
    lower({{ json_text('parsed', 'status') }}) as status,
    upper({{ json_text('parsed', 'currency') }}) as currency,
    {{ present(json_text('parsed', 'start.timezone')) }} as timezone,

    -- measures
    {{ json_integer('parsed', 'capacity') }} as capacity,

    -- flags
    {{ json_boolean('parsed', 'online_event') }} as is_online,
    {{ json_boolean('parsed', 'is_series_parent') }} as is_series_parent,
    missing_since is not null as is_missing,

    -- times
    {{ try_timestamp(json_text('parsed', 'start.utc')) }} as starts_at,
    {{ try_timestamp(json_text('parsed', 'start.local')) }} as starts_local,
    {{ try_timestamp(json_text('parsed', 'end.utc')) }} as ends_at
from source
