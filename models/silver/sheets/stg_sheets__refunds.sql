-- Grain: one row per record of the sheet, bad and doubled keys included. `_text` is a cell that was parsed,
-- as written.
with source as (
    select
        _file as file,
        _record as record,
        _line as line,
        {{ present('refund_id') }} as refund_id,
        {{ present('ticket_id') }} as ticket_id,
        {{ present('event_id') }} as event_id,
        {{ present('reason') }} as reason,
        {{ present('refund_amount') }} as refund_amount_text,
        {{ present('refunded_at') }} as refunded_at_text
    from {{ source('sheets', 'refunds') }}
)

select
    -- keys
    file,
    record,
    line,
    refund_id,

    -- cells
    ticket_id,
    event_id,
    reason,
    refund_amount_text,
    {{ try_number('refund_amount_text') }} as refund_amount,
    refunded_at_text,
    {{ try_timestamp('refunded_at_text') }} as refunded_local
from source
