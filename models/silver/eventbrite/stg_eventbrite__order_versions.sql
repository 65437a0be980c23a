-- Grain: one row per earlier version of an order. The version of today is in stg_eventbrite__orders and not
-- read twice.
{%- set paths = eventbrite_cost_paths() -%}
{%- do paths.update({'status': 'text', 'refunded': 'boolean'}) %}
with history as (select * from {{ source('eventbrite', 'orders_history') }}),

today as (select * from {{ source('eventbrite', 'orders') }}),

-- Narrow, so that the payloads of versions that are still today's stay unread.
superseded as (
    select
        history.id,
        history.payload_hash
    from history
    inner join today on history.id = today.id
    where history.payload_hash <> today.payload_hash
),

source as (
    select
        history.id,
        history.changed,
        history.landed_at,
        {{ json_parsed('history.payload', paths) }} as parsed
    from history
    inner join superseded
        on
            history.id = superseded.id
            and history.payload_hash = superseded.payload_hash
),

versions as (
    select
        -- keys
        id as order_id,

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
    order_id,
    gross_minor,
    fees_minor,
    tax_minor,
    currency,
    is_refunded,
    is_unpaid,
    changed_at,
    landed_at,
    not is_unpaid and row_number() over (
        partition by order_id
        order by is_unpaid, changed_at, landed_at
    ) = 1 as is_first_paid
from versions
