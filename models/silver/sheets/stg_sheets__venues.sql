-- Grain: one row per record of the sheet, bad and doubled keys included. `_text` is a cell that was parsed,
-- as written.
with source as (
    select
        _file as file,
        _record as record,
        _line as line,
        {{ present('venue_id') }} as venue_id,
        {{ present('name') }} as name,
        {{ present('city') }} as city,
        {{ present('state') }} as state,
        {{ present('country') }} as country,
        {{ present('capacity') }} as capacity_text
    from {{ source('sheets', 'venues') }}
)

select
    -- keys
    file,
    record,
    line,
    venue_id,

    -- cells
    name as venue_name,
    city,
    state as region,
    country,
    capacity_text,
    {{ try_integer('capacity_text') }} as capacity
from source
