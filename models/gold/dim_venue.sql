-- Grain: one row per venue, whichever sources list it.
select
    venue_key,
    source,
    venue_id,
    venue_name,
    city,
    region,
    country,
    case when capacity > 0 then capacity end as capacity
from {{ ref('venues') }}
