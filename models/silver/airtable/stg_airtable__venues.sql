-- Grain: one row per record of a table that is mapped as venues. `_text` is a cell that was parsed, as it is.
with cells as (
    select * from {{ ref('base_airtable__cells') }}
    where role = 'venue'
),

source as (
    select
        record_id,
        {{ airtable_column('venue_name') }} as venue_name,
        {{ airtable_column('city') }} as city,
        {{ airtable_column('region') }} as region,
        {{ airtable_column('country') }} as country,
        {{ airtable_column('capacity') }} as capacity_text
    from cells
    group by record_id
)

select
    -- keys
    'airtable-' || record_id as venue_key,
    'airtable' as source,
    record_id as venue_id,

    -- cells
    venue_name,
    city,
    region,
    country,
    capacity_text,
    {{ try_integer('capacity_text') }} as capacity
from source
