-- Grain: one row per record of a table that is mapped as artists. `_text` is a cell that was parsed, as it
-- stands there.
with cells as (
    select * from {{ ref('base_airtable__cells') }}
    where role = 'artist'
),

source as (
    select
        record_id,
        {{ airtable_column('artist_name') }} as artist_name,
        {{ airtable_column('genre') }} as genre,
        {{ airtable_column('country') }} as country,
        {{ airtable_column('created_date') }} as created_date_text,
        {{ airtable_column('created_date', 'timezone') }} as created_date_zone
    from cells
    group by record_id
)

select
    -- keys
    'airtable-' || record_id as artist_key,
    'airtable' as source,
    record_id as artist_id,

    -- cells
    artist_name,
    genre,
    country,
    created_date_text,
    {{ airtable_date('created_date_text', 'created_date_zone') }} as created_date
from source
