-- Grain: one row per record of the sheet, bad and doubled keys included. `_text` is a cell that was parsed,
-- as written.
with source as (
    select
        _file as file,
        _record as record,
        _line as line,
        {{ present('event_id') }} as event_id,
        {{ present('artist_id') }} as artist_id,
        {{ present('venue_id') }} as venue_id,
        {{ present('event_date') }} as event_date_text,
        {{ present('status') }} as status,
        {{ present('ticket_price') }} as ticket_price_text,
        {{ present('currency') }} as currency
    from {{ source('sheets', 'events') }}
)

select
    -- keys
    file,
    record,
    line,
    event_id,

    -- cells
    artist_id,
    venue_id,
    event_date_text,
    {{ try_date('event_date_text') }} as event_date,
    lower(status) as status,
    ticket_price_text,
    {{ try_number('ticket_price_text') }} as ticket_price,
    upper(currency) as currency
from source
