-- Grain: one row per artist.
select
    artist_key,
    source,
    artist_id,
    artist_name,
    genre,
    country,
    created_date
from {{ ref('artists') }}
