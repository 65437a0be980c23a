-- Grain: one row per campaign. Its event_id means a sheet event, else an Eventbrite event.
with sheet as (select * from {{ ref('stg_sheets__campaigns') }}),

left_out as (
    select * from {{ ref('int_sheets__left_out') }}
    where sheet = 'campaigns'
),

sheet_events as (select * from {{ ref('int_sheets__event_keys') }}),

events as (select * from {{ ref('known_events') }})

select
    'sheets-' || sheet.campaign_id as campaign_key,
    'sheets' as source,
    sheet.campaign_id,
    coalesce(sheet_events.event_key, online_events.event_key, 'sheets-unknown') as event_key,
    coalesce({{ folded('sheet.channel') }}, 'unknown') as channel,
    sheet.channel as channel_name,
    sheet.spend_amount,
    sheet.impressions,
    sheet.clicks,
    sheet.conversions,
    sheet.start_date,
    sheet.end_date
from sheet
left join left_out on sheet.record = left_out.record and sheet.file = left_out.file
left join sheet_events on sheet.event_id = sheet_events.event_id
left join events as online_events on 'eventbrite-' || sheet.event_id = online_events.event_key
where left_out.record is null
