-- Grain: one row per venue.
with source as (
    select
        id,
        missing_since,
        {{ json_parsed('payload', {
            'name': 'text',
            'capacity': 'integer',
            'address.city': 'text',
            'address.region': 'text',
            'address.country': 'text',
        }) }} as parsed
    from {{ source('eventbrite', 'venues') }}
)

select
    id as venue_id,
    {{ present(json_text('parsed', 'name')) }} as venue_name,
    {{ present(json_text('parsed', 'address.city')) }} as city,
    {{ present(json_text('parsed', 'address.region')) }} as region,
    {{ present(json_text('parsed', 'address.country')) }} as country,
    {{ json_integer('parsed', 'capacity') }} as capacity,
    missing_since is not null as is_missing
from source
