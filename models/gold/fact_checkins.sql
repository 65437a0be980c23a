-- Grain: one row per ticket that was scanned, at its first scan. A projection of silver: a view, and
-- its ref leaves out the database, so that it also works in a file that was renamed or attached.
{{ config(materialized='view') }}
select
    checkin_key,
    ticket_key,
    event_key,
    {{ date_key('cast(checked_in_local as date)') }} as date_key,
    checked_in_at,
    checked_in_local,
    gate,
    is_attendance
from {{ ref('checkins').include(database=false) }}
where is_first
