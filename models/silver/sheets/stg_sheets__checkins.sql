-- Grain: one row per record of the sheet, bad and doubled keys included. `_text` is a cell that was parsed,
-- as written.
with source as (
    select
        _file as file,
        _record as record,
        _line as line,
        {{ present('checkin_id') }} as checkin_id,
        {{ present('event_id') }} as event_id,
        {{ present('ticket_id') }} as ticket_id,
        {{ present('gate') }} as gate,
        {{ present('scanned_at') }} as scanned_at_text
    from {{ source('sheets', 'checkins') }}
)

select
    -- keys
    file,
    record,
    line,
    checkin_id,

    -- cells
    event_id,
    ticket_id,
    gate,
    scanned_at_text,
    {{ try_timestamp('scanned_at_text') }} as scanned_local
from source
