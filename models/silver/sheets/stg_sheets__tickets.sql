-- Grain: one row per record of the sheet, bad and doubled keys included. `_text` is a cell that was parsed,
-- as written.
with source as (
    select
        _file as file,
        _record as record,
        _line as line,
        {{ present('ticket_id') }} as ticket_id,
        {{ present('event_id') }} as event_id,
        {{ present('customer_id') }} as customer_id,
        {{ present('channel') }} as channel,
        {{ present('status') }} as status,
        {{ present('currency') }} as currency,
        {{ present('price_paid') }} as price_paid_text,
        {{ present('purchase_datetime') }} as purchase_datetime_text
    from {{ source('sheets', 'tickets') }}
)

select
    -- keys
    file,
    record,
    line,
    ticket_id,

    -- cells
    event_id,
    customer_id,
    channel,
    lower(status) as status,
    upper(currency) as currency,
    price_paid_text,
    {{ try_number('price_paid_text') }} as price_paid,
    purchase_datetime_text,
    {{ try_timestamp('purchase_datetime_text') }} as purchased_local
from source
