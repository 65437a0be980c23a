-- Grain: one row per venue, whichever sources list it, that one of the synced sources lists.
with venues as (select * from {{ ref('dim_venue') }}),

listed as (
    select distinct venue_key
    from {{ ref('venue_links') }}
    where source in ({{ synced_sources('airtable') }})
)

select
    venues.venue_name,
    venues.city,
    venues.region,
    venues.country,
    venues.capacity,
    venues.venue_key
from venues
inner join listed on venues.venue_key = listed.venue_key
