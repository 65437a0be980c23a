-- Grain: one row per event of the sheet, with the key it goes by: Eventbrite's where event_links says so.
{{ config(materialized='table') }}
with sheet as (select * from {{ ref('stg_sheets__events') }}),

left_out as (
    select * from {{ ref('int_sheets__left_out') }}
    where sheet = 'events'
),

links as (
    select
        event_links.sheets_event_id,
        min(event_links.eventbrite_event_id) as eventbrite_event_id
    from {{ ref('event_links') }} as event_links
    inner join {{ ref('stg_eventbrite__events') }} as online
        on event_links.eventbrite_event_id = online.event_id
    where not online.is_series_parent
    group by event_links.sheets_event_id
)

select
    sheet.event_id,
    coalesce(sheet.currency, online.currency) as currency,
    coalesce('eventbrite-' || links.eventbrite_event_id, 'sheets-' || sheet.event_id) as event_key,
    links.eventbrite_event_id is not null as is_linked
from sheet
left join left_out on sheet.record = left_out.record and sheet.file = left_out.file
left join links on sheet.event_id = links.sheets_event_id
left join {{ ref('stg_eventbrite__events') }} as online on links.eventbrite_event_id = online.event_id
where left_out.record is null
