-- Grain: one row per item of a refund request. It names the order, never the attendee.
with orders as (
    select
        order_id,
        refund_requests
    from {{ ref('stg_eventbrite__orders') }}
    where refund_requests like '%amount_processed%'
),

requests as (
    select
        order_id,
        {{ json_array_rows('refund_requests') }} as request
    from orders
),

requests_read as (
    select
        order_id,
        {{ json_parsed('request', {'items': 'text'}) }} as parsed
    from requests
),

request_items as (
    select
        order_id,
        {{ json_text('parsed', 'items') }} as items
    from requests_read
),

items as (
    select
        order_id,
        {{ json_array_rows('items') }} as item
    from request_items
    where items is not null
),

items_read as (
    select
        order_id,
        {{ json_parsed('item', {
            'status': 'text',
            'item_type': 'text',
            'refund_reason_code': 'text',
            'processed_date': 'text',
            'amount_processed': 'text',
        }) }} as parsed
    from items
),

source as (
    select
        order_id,
        parsed,
        {{ json_text('parsed', 'amount_processed') }} as amount,
        -- The amount is a whole number or a money object: nobody has seen which.
        {{ json_parsed(json_object(json_text('parsed', 'amount_processed')), {'value': 'integer'}) }} as money
    from items_read
)

select
    order_id,
    lower({{ json_text('parsed', 'status') }}) as status,
    {{ json_text('parsed', 'item_type') }} as item_type,
    {{ present(json_text('parsed', 'refund_reason_code')) }} as reason,
    coalesce({{ json_integer('money', 'value') }}, {{ try_integer('amount') }}) as amount_minor,
    {{ try_timestamp(json_text('parsed', 'processed_date')) }} as processed_at
from source
