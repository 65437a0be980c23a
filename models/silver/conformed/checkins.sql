-- Grain: one row per scan. Eventbrite tells that a ticket was scanned, not how often: one row a ticket. A
-- view, as tickets is.
{{ config(materialized='view') }}
select
    ticket_key as checkin_key,
    'eventbrite' as source,
    ticket_id as checkin_id,
    ticket_key,
    event_key,
    checked_in_at,
    checked_in_local,
    cast(null as {{ dbt.type_string() }}) as gate,
    true as is_first,
    is_valid and is_seat as is_attendance,
    false as is_elsewhere
from {{ ref('int_eventbrite__tickets').include(database=false) }}
where is_scanned
union all
select
    checkin_key,
    'sheets' as source,
    checkin_id,
    ticket_key,
    event_key,
    checked_in_at,
    checked_in_local,
    gate,
    is_first,
    is_attendance,
    is_elsewhere
from {{ ref('int_sheets__checkins').include(database=false) }}
