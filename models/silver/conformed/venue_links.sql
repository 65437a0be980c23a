-- Grain: one row per venue of a source, with the venue that it is.
{%- do marks_built() %}
with venues as (select * from {{ ref('known_venues') }})

select
    venues.source,
    venues.venue_id,
    keys.key as venue_key
from venues
inner join ({{ given_keys(ref('known_venues'), 'venue_id', 'venue') }}) as keys
    on venues.match_group = keys.match_group
