-- Grain: one row per ticket class.
with source as (
    select
        id,
        event_id,
        missing_since,
        {{ json_parsed('payload', {
            'name': 'text',
            'category': 'text',
            'free': 'boolean',
            'donation': 'boolean',
            'capacity': 'integer',
            'quantity_total': 'integer',
            'cost.value': 'integer',
            'cost.currency': 'text',
        }) }} as parsed
    from {{ source('eventbrite', 'ticket_classes') }}
)

select
    -- keys
    id as ticket_class_id,
    event_id,

    -- words
    {{ present(json_text('parsed', 'name')) }} as ticket_class_name,
    lower({{ json_text('parsed', 'category') }}) as category,
    upper({{ json_text('parsed', 'cost.currency') }}) as currency,

    -- measures, money in minor units of its currency
    {{ json_integer('parsed', 'capacity') }} as capacity,
    {{ json_integer('parsed', 'quantity_total') }} as quantity_total,
    {{ json_integer('parsed', 'cost.value') }} as price_minor,

    -- flags
    {{ json_boolean('parsed', 'free') }} as is_free,
    {{ json_boolean('parsed', 'donation') }} as is_donation,
    missing_since is not null as is_missing
from source
