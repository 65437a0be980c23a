-- Grain: one row per venue of a source.
with eventbrite as (select * from {{ ref('stg_eventbrite__venues') }}),

sheet as (select * from {{ ref('stg_sheets__venues') }}),

left_out as (
    select * from {{ ref('int_sheets__left_out') }}
    where sheet = 'venues'
)

select
    'eventbrite-' || venue_id as venue_key,
    'eventbrite' as source,
    venue_id,
    venue_name,
    city,
    region,
    country,
    case when capacity > 0 then capacity end as capacity
from eventbrite
union all
select
    'sheets-' || sheet.venue_id as venue_key,
    'sheets' as source,
    sheet.venue_id,
    sheet.venue_name,
    sheet.city,
    sheet.region,
    sheet.country,
    case when sheet.capacity > 0 then sheet.capacity end as capacity
from sheet
left join left_out on sheet.record = left_out.record and sheet.file = left_out.file
where left_out.record is null
