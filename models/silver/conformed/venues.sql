-- Grain: one row per venue, whichever sources list it. What several state is as the smallest (source, id)
-- that states it has it.
{%- set stated = ['venue_name', 'city', 'region', 'country', 'capacity'] %}
with listed as (
    select
        links.venue_key,
        venues.*,
        {{ bytewise("venues.source || '-' || venues.venue_id") }} as member
    from {{ ref('known_venues') }} as venues
    inner join {{ ref('venue_links') }} as links
        on venues.source = links.source and venues.venue_id = links.venue_id
),

stated as (
    select
        venue_key,
        source,
        venue_id,
        {%- for column in stated %}
            first_value({{ column }}) over (
                partition by venue_key
                order by case when {{ column }} is null then 1 else 0 end, member
            ) as {{ column }},
        {%- endfor %}
        row_number() over (partition by venue_key order by member) as place
    from listed
)

select
    venue_key,
    source,
    venue_id,
    venue_name,
    city,
    region,
    country,
    capacity
from stated
where place = 1
