-- Grain: one row per record of the sheet, bad and doubled keys included. `_text` is a cell that was parsed,
-- as written.
with source as (
    select
        _file as file,
        _record as record,
        _line as line,
        {{ present('customer_id') }} as customer_id,
        {{ present('name') }} as name,
        {{ present('email') }} as email,
        {{ present('city') }} as city,
        {{ present('state') }} as state,
        {{ present('country') }} as country,
        {{ present('created_at') }} as created_at_text
    from {{ source('sheets', 'customers') }}
)

select
    -- keys
    file,
    record,
    line,
    customer_id,

    -- cells
    name as customer_name,
    email,
    city,
    state as region,
    country,
    created_at_text,
    {{ try_date('created_at_text') }} as created_date
from source
