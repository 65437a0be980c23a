-- Grain: one row per record of a table that is mapped as campaigns. `_text` is a cell that was parsed, as it
-- stands there.
with cells as (
    select * from {{ ref('base_airtable__cells') }}
    where role = 'campaign'
),

source as (
    select
        record_id,
        {{ airtable_column('event_id') }} as event_id,
        {{ airtable_column('channel') }} as channel,
        {{ airtable_column('spend_amount') }} as spend_amount_text,
        {{ airtable_column('impressions') }} as impressions_text,
        {{ airtable_column('clicks') }} as clicks_text,
        {{ airtable_column('conversions') }} as conversions_text,
        {{ airtable_column('start_date') }} as start_date_text,
        {{ airtable_column('start_date', 'timezone') }} as start_date_zone,
        {{ airtable_column('end_date') }} as end_date_text,
        {{ airtable_column('end_date', 'timezone') }} as end_date_zone
    from cells
    group by record_id
)

select
    -- keys
    'airtable-' || record_id as campaign_key,
    'airtable' as source,
    record_id as campaign_id,
    event_id,

    -- cells
    channel,
    spend_amount_text,
    {{ try_number('spend_amount_text') }} as spend_amount,
    impressions_text,
    {{ try_integer('impressions_text') }} as impressions,
    clicks_text,
    {{ try_integer('clicks_text') }} as clicks,
    conversions_text,
    {{ try_integer('conversions_text') }} as conversions,
    start_date_text,
    {{ airtable_date('start_date_text', 'start_date_zone') }} as start_date,
    end_date_text,
    {{ airtable_date('end_date_text', 'end_date_zone') }} as end_date
from source
