-- Grain: one row per ticket that was scanned, at its first scan. Its event is the ticket's.
with tickets as (select * from {{ ref('tickets') }}),

checkins as (select * from {{ ref('checkins') }})

select
    checkins.checkin_key,
    checkins.ticket_key,
    tickets.event_key,
    {{ date_key('cast(checkins.checked_in_local as date)') }} as date_key,
    checkins.checked_in_at,
    checkins.checked_in_local,
    checkins.gate,
    tickets.is_valid and tickets.is_seat as is_attendance
from checkins
inner join tickets on checkins.ticket_key = tickets.ticket_key
where checkins.is_first
