-- Grain: one row per order, as last seen.
{%- do renews_by('order_id') %}
{%- set paths = eventbrite_cost_paths() -%}
{%- do paths.update({
    'status': 'text',
    'created': 'text',
    'name': 'text',
    'email': 'text',
    'promo_code': 'text',
    'refund_requests': 'text',
    'costs.base_price.value': 'integer',
}) %}
with source as (
    select
        id,
        event_id,
        changed,
        landed_at,
        missing_since,
        payload_hash,
        {{ json_parsed('payload', paths) }} as parsed
    from {{ source('eventbrite', 'orders') }}
    {% if is_incremental() %}
        where id in ({{ unlike_held(source('eventbrite', 'orders'), 'order_id') }})
    {% endif %}
)

select
    -- keys
    id as order_id,
    event_id,

    -- words
    lower({{ json_text('parsed', 'status') }}) as status,
    {{ present(json_text('parsed', 'promo_code')) }} as promo_code,
    {{ json_text('parsed', 'refund_requests') }} as refund_requests,

    -- people
    {{ present(json_text('parsed', 'name')) }} as buyer_name,
    {{ present(json_text('parsed', 'email')) }} as buyer_email,

    -- measures
    {{ eventbrite_costs('parsed') }},

    -- flags
    {{ eventbrite_unpaid('lower(' ~ json_text('parsed', 'status') ~ ')') }} as is_unpaid,
    -- Eventbrite names no way of payment: what was paid elsewhere costs its fee and no payment fee.
    coalesce({{ json_integer('parsed', 'costs.base_price.value') }}, 0) > 0
    and coalesce({{ json_integer('parsed', 'costs.eventbrite_fee.value') }}, 0) > 0
    and coalesce({{ json_integer('parsed', 'costs.payment_fee.value') }}, 0) = 0 as is_paid_offline,
    missing_since is not null as is_missing,

    -- times
    {{ try_timestamp(json_text('parsed', 'created')) }} as created_at,
    changed as changed_at,
    landed_at,

    -- what tells a change
    payload_hash,
    {{ this_build() }} as build_number
from source
