-- Grain: one row per scan of the sheet, in our words.
{{ config(materialized='table') }}
with sheet as (select * from {{ ref('stg_sheets__checkins') }}),

left_out as (
    select * from {{ ref('int_sheets__left_out') }}
    where sheet = 'checkins'
),

tickets as (select * from {{ ref('int_sheets__tickets') }}),

sheet_events as (select * from {{ ref('int_sheets__event_keys') }}),

scans as (
    select
        sheet.checkin_id,
        sheet.record,
        tickets.ticket_key,
        sheet.scanned_local,
        sheet.gate,
        coalesce(tickets.event_key, sheet_events.event_key, 'sheets-unknown') as event_key,
        coalesce(tickets.is_valid, false) as is_attendance,
        sheet.event_id is not null
        and coalesce(sheet_events.event_key, 'sheets-unknown') <> tickets.event_key as is_elsewhere
    from sheet
    left join left_out on sheet.record = left_out.record and sheet.file = left_out.file
    left join tickets on sheet.ticket_id = tickets.ticket_id
    left join sheet_events on sheet.event_id = sheet_events.event_id
    where left_out.record is null
),

-- Few tickets are scanned twice: only those are put in order.
rescanned as (
    select ticket_key from scans
    where ticket_key is not null
    group by ticket_key
    having count(*) > 1
),

later_scans as (
    select checkin_id
    from (
        select
            scans.checkin_id,
            row_number() over (
                partition by scans.ticket_key
                order by scans.scanned_local nulls last, scans.record
            ) as place
        from scans
        inner join rescanned on scans.ticket_key = rescanned.ticket_key
    ) as placed
    where place > 1
)

select
    'sheets-' || scans.checkin_id as checkin_key,
    scans.checkin_id,
    scans.ticket_key,
    scans.event_key,
    {{ sheet_utc('scans.scanned_local') }} as checked_in_at,
    scans.scanned_local as checked_in_local,
    scans.gate,
    scans.ticket_key is not null and later_scans.checkin_id is null as is_first,
    scans.is_attendance,
    coalesce(scans.is_elsewhere, false) as is_elsewhere
from scans
left join later_scans on scans.checkin_id = later_scans.checkin_id
