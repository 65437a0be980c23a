-- Grain: one row per earlier version of an attendee.
{%- do renews_by('ticket_id') %}
select versions.*
from ({{ eventbrite_versions(ref('stg_eventbrite__attendees'), 'attendees', 'ticket_id') }}) as versions
