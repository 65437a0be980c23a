-- Grain: one row per artist of a source.
with sheet as (select * from {{ ref('stg_sheets__artists') }}),

airtable as (select * from {{ ref('stg_airtable__artists') }}),

left_out as (
    select * from {{ ref('int_sheets__left_out') }}
    where sheet = 'artists'
)

select
    'sheets' as source,
    sheet.artist_id,
    sheet.artist_name,
    sheet.genre,
    sheet.country,
    sheet.created_date,
    'sheets-' || sheet.artist_id as artist_key
from sheet
left join left_out on sheet.record = left_out.record and sheet.file = left_out.file
where left_out.record is null
union all
select
    source,
    artist_id,
    artist_name,
    genre,
    country,
    created_date,
    artist_key
from airtable
