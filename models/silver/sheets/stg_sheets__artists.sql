-- Grain: one row per record of the sheet, bad and doubled keys included. `_text` is a cell that was parsed,
-- as written.
with source as (
    select
        _file as file,
        _record as record,
        _line as line,
        {{ present('artist_id') }} as artist_id,
        {{ present('name') }} as name,
        {{ present('genre') }} as genre,
        {{ present('country') }} as country,
        {{ present('created_at') }} as created_at_text
    from {{ source('sheets', 'artists') }}
)

select
    -- keys
    file,
    record,
    line,
    artist_id,

    -- cells
    name as artist_name,
    genre,
    country,
    created_at_text,
    {{ try_date('created_at_text') }} as created_date
from source
