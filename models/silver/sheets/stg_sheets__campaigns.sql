-- Grain: one row per record of the sheet, bad and doubled keys included. `_text` is a cell that was parsed,
-- as written.
with source as (
    select
        _file as file,
        _record as record,
        _line as line,
        {{ present('campaign_id') }} as campaign_id,
        {{ present('event_id') }} as event_id,
        {{ present('channel') }} as channel,
        {{ present('spend') }} as spend_text,
        {{ present('impressions') }} as impressions_text,
        {{ present('clicks') }} as clicks_text,
        {{ present('conversions') }} as conversions_text,
        {{ present('start_date') }} as start_date_text,
        {{ present('end_date') }} as end_date_text
    from {{ source('sheets', 'campaigns') }}
)

select
    -- keys
    file,
    record,
    line,
    campaign_id,

    -- cells
    event_id,
    channel,
    spend_text,
    {{ try_number('spend_text') }} as spend_amount,
    impressions_text,
    {{ try_integer('impressions_text') }} as impressions,
    clicks_text,
    {{ try_integer('clicks_text') }} as clicks,
    conversions_text,
    {{ try_integer('conversions_text') }} as conversions,
    start_date_text,
    {{ try_date('start_date_text') }} as start_date,
    end_date_text,
    {{ try_date('end_date_text') }} as end_date
from source
