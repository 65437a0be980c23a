-- Grain: one row per attendee, which is one ticket, as last seen.
{%- do renews_by('ticket_id') %}
{%- set paths = eventbrite_cost_paths() -%}
{%- do paths.update({
    'status': 'text',
    'created': 'text',
    'ticket_class_id': 'text',
    'ticket_class_name': 'text',
    'affiliate': 'text',
    'promotional_code.code': 'text',
    'checked_in': 'boolean',
    'cancelled': 'boolean',
    'refunded': 'boolean',
    'barcodes.0.status': 'text',
    'barcodes.0.changed': 'text',
    'profile.name': 'text',
    'profile.email': 'text',
}) %}
with source as (
    select
        id,
        order_id,
        event_id,
        changed,
        landed_at,
        missing_since,
        payload_hash,
        {{ json_parsed('payload', paths) }} as parsed
    from {{ source('eventbrite', 'attendees') }}
    {% if is_incremental() %}
        where id in ({{ unlike_held(source('eventbrite', 'attendees'), 'ticket_id') }})
    {% endif %}
)

select
    -- keys
    id as ticket_id,
    order_id,
    event_id,
    {{ json_text('parsed', 'ticket_class_id') }} as ticket_class_id,

    -- words
    {{ present(json_text('parsed', 'ticket_class_name')) }} as ticket_class_name,
    lower({{ json_text('parsed', 'status') }}) as status,
    {{ present(json_text('parsed', 'promotional_code.code')) }} as promo_code,
    {{ present(json_text('parsed', 'affiliate')) }} as affiliate,

    -- people
    {{ present(json_text('parsed', 'profile.name')) }} as attendee_name,
    {{ present(json_text('parsed', 'profile.email')) }} as attendee_email,

    -- measures
    {{ eventbrite_costs('parsed') }},

    -- flags
    {{ json_boolean('parsed', 'checked_in') }} as is_checked_in,
    {{ json_boolean('parsed', 'cancelled') }} as is_cancelled,
    {{ json_boolean('parsed', 'refunded') }} as is_refunded,
    {{ eventbrite_unpaid('lower(' ~ json_text('parsed', 'status') ~ ')') }} as is_unpaid,
    missing_since is not null as is_missing,

    -- times
    {{ try_timestamp(json_text('parsed', 'created')) }} as created_at,
    case
        when {{ json_text('parsed', 'barcodes.0.status') }} = 'used'
            then {{ try_timestamp(json_text('parsed', 'barcodes.0.changed')) }}
    end as checked_in_at,
    changed as changed_at,
    landed_at,

    -- what tells a change
    payload_hash,
    {{ this_build() }} as build_number
from source
