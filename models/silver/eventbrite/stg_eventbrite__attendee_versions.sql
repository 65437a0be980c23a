-- Grain: one row per earlier version of an attendee. The version of today is in stg_eventbrite__attendees
-- and not read twice.
{%- set paths = eventbrite_cost_paths() -%}
{%- do paths.update({'status': 'text', 'refunded': 'boolean'}) %}
with today as (select * from {{ source('eventbrite', 'attendees') }}),

-- Told by hashes, so that no version of today's is parsed.
source as (
    select
        history.id,
        history.changed,
        history.landed_at,
        {{ json_parsed('history.payload', paths) }} as parsed
    from {{ source('eventbrite', 'attendees_history') }} as history
    where
        not exists (
            select 1
            from today
            where today.id = history.id and today.payload_hash = history.payload_hash
        )
),

versions as (
    select
        -- keys
        id as ticket_id,

        -- measures
        {{ eventbrite_costs('parsed') }},

        -- flags
        {{ json_boolean('parsed', 'refunded') }} as is_refunded,
        {{ eventbrite_unpaid('lower(' ~ json_text('parsed', 'status') ~ ')') }} as is_unpaid,

        -- times
        changed as changed_at,
        landed_at
    from source
)

select
    ticket_id,
    gross_minor,
    fees_minor,
    tax_minor,
    currency,
    is_refunded,
    is_unpaid,
    changed_at,
    landed_at,
    not is_unpaid and row_number() over (
        partition by ticket_id
        order by is_unpaid, changed_at, landed_at
    ) = 1 as is_first_paid
from versions
