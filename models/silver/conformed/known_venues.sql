-- Grain: one row per venue of a source. Those with one `match_group` are one venue: same name, same city;
-- one without a city goes to the only city that has the name.
{{ config(access='private', materialized='view') }}
with eventbrite as (select * from {{ ref('stg_eventbrite__venues') }}),

airtable as (select * from {{ ref('stg_airtable__venues') }}),

sheet as (select * from {{ ref('stg_sheets__venues') }}),

left_out as (
    select * from {{ ref('int_sheets__left_out') }}
    where sheet = 'venues'
),

listed as (
    select
        'eventbrite' as source,
        venue_id,
        venue_name,
        city,
        region,
        country,
        capacity
    from eventbrite
    union all
    select
        'airtable' as source,
        venue_id,
        venue_name,
        city,
        region,
        country,
        capacity
    from airtable
    union all
    select
        'sheets' as source,
        sheet.venue_id,
        sheet.venue_name,
        sheet.city,
        sheet.region,
        sheet.country,
        sheet.capacity
    from sheet
    left join left_out on sheet.record = left_out.record and sheet.file = left_out.file
    where left_out.record is null
),

folded as (
    select
        listed.*,
        {{ folded('venue_name') }} as name_folded,
        {{ folded('city') }} as city_folded
    from listed
),

towns as (
    select
        name_folded,
        case when min(city_folded) = max(city_folded) then min(city_folded) end as only_city
    from folded
    group by name_folded
)

select
    folded.source,
    folded.venue_id,
    folded.venue_name,
    folded.city,
    folded.region,
    folded.country,
    case when folded.capacity > 0 then folded.capacity end as capacity,
    -- Folded text holds no punctuation, so neither prefix nor slash can be part of it.
    case
        when folded.name_folded is null then '#' || folded.source || '-' || folded.venue_id
        else folded.name_folded || '/' || coalesce(folded.city_folded, towns.only_city, '')
    end as match_group
from folded
left join towns on folded.name_folded = towns.name_folded
