-- Grain: one row per campaign. Its event_id means a sheet event, else an Eventbrite event, else one of
-- Airtable; a record that it links to is what it links to.
with sheet as (select * from {{ ref('stg_sheets__campaigns') }}),

airtable as (select * from {{ ref('stg_airtable__campaigns') }}),

left_out as (
    select * from {{ ref('int_sheets__left_out') }}
    where sheet = 'campaigns'
),

stated as (
    select
        'sheets' as source,
        sheet.campaign_id,
        sheet.event_id,
        sheet.channel,
        sheet.spend_amount,
        sheet.impressions,
        sheet.clicks,
        sheet.conversions,
        sheet.start_date,
        sheet.end_date
    from sheet
    left join left_out on sheet.record = left_out.record and sheet.file = left_out.file
    where left_out.record is null
    union all
    select
        source,
        campaign_id,
        event_id,
        channel,
        spend_amount,
        impressions,
        clicks,
        conversions,
        start_date,
        end_date
    from airtable
),

sheet_events as (select * from {{ ref('int_sheets__event_keys') }}),

events as (select * from {{ ref('known_events') }}),

airtable_events as (select * from {{ ref('int_airtable__event_keys') }}),

named_events as (
    select
        same_as,
        min(event_key) as event_key
    from airtable_events
    group by same_as
),

-- Records that boxoffice wrote are no source, and people may well link to them.
written as (
    select
        written.record_id,
        events.event_key
    from {{ source('ops', 'airtable_keys') }} as written
    inner join events on written.key = events.event_key
)

select
    stated.source || '-' || stated.campaign_id as campaign_key,
    stated.source,
    stated.campaign_id,
    coalesce(
        sheet_events.event_key,
        online_events.event_key,
        airtable_events.event_key,
        written.event_key,
        named_events.event_key,
        stated.source || '-unknown'
    ) as event_key,
    coalesce({{ folded('stated.channel') }}, 'unknown') as channel,
    stated.channel as channel_name,
    stated.spend_amount,
    stated.impressions,
    stated.clicks,
    stated.conversions,
    stated.start_date,
    stated.end_date
from stated
left join sheet_events on stated.event_id = sheet_events.event_id
left join events as online_events on 'eventbrite-' || stated.event_id = online_events.event_key
left join airtable_events on stated.event_id = airtable_events.event_id
left join written on stated.event_id = written.record_id
left join named_events on stated.event_id = named_events.same_as
