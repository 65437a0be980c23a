-- Grain: one row per refund of a ticket, of an order item, or of a ticket nobody knows.
{#- Large, and read for a few columns at a time: as a CTE all of those would be held at once. #}
{%- set tickets = ref('tickets') %}
with online as (select * from {{ ref('int_eventbrite__refunds') }}),

order_items as (select * from {{ ref('order_items') }}),

sheet_events as (select * from {{ ref('int_sheets__event_keys') }}),

events as (select * from {{ ref('known_events') }}),

currencies as (select * from {{ ref('currencies') }}),

sheet as (select * from {{ ref('stg_sheets__refunds') }}),

left_out as (
    select * from {{ ref('int_sheets__left_out') }}
    where sheet = 'refunds'
),

of_tickets as (
    select
        online.refund_id,
        tickets.ticket_key,
        tickets.event_key,
        {{ minor_to_major('online.amount_minor', 'currencies.exponent') }} as amount,
        tickets.currency,
        online.refunded_at,
        online.reason,
        online.basis
    from online
    inner join {{ tickets }} as tickets on 'eventbrite-' || online.ticket_id = tickets.ticket_key
    left join currencies on tickets.currency = currencies.currency
),

requested as (
    select
        order_id,
        sum(amount_minor) as amount_minor
    from online
    where ticket_id is null
    group by order_id
),

-- Requests date the refund of an order item unless they tell of more than it lost.
of_orders as (
    select
        online.refund_id,
        order_items.order_item_key,
        order_items.event_key,
        {{ minor_to_major('online.amount_minor', 'currencies.exponent') }} as amount,
        order_items.currency,
        online.refunded_at,
        online.reason
    from online
    inner join order_items on 'eventbrite-' || online.order_id = order_items.order_key
    inner join requested on online.order_id = requested.order_id
    left join currencies on order_items.currency = currencies.currency
    where
        online.ticket_id is null
        and {{ minor_to_major('requested.amount_minor', 'currencies.exponent') }}
        <= order_items.refunds_amount
),

of_orders_summed as (
    select
        order_item_key,
        sum(amount) as amount
    from of_orders
    group by order_item_key
),

-- What an order item was lowered by between its versions.
of_order_versions as (
    select
        order_items.order_id,
        order_items.order_item_key,
        order_items.event_key,
        order_items.currency,
        order_items.refunded_at,
        order_items.refunds_amount - coalesce(of_orders_summed.amount, 0) as amount
    from order_items
    left join of_orders_summed on order_items.order_item_key = of_orders_summed.order_item_key
    where order_items.refunds_amount <> coalesce(of_orders_summed.amount, 0)
),

online_rows as (
    select
        refund_id,
        ticket_key,
        cast(null as {{ dbt.type_string() }}) as order_item_key,
        event_key,
        amount,
        currency,
        refunded_at,
        reason,
        basis
    from of_tickets
    union all
    select
        refund_id,
        cast(null as {{ dbt.type_string() }}) as ticket_key,
        order_item_key,
        event_key,
        amount,
        currency,
        refunded_at,
        reason,
        'request' as basis
    from of_orders
    union all
    select
        'order-' || order_id || '-version' as refund_id,
        cast(null as {{ dbt.type_string() }}) as ticket_key,
        order_item_key,
        event_key,
        cast(amount as {{ money_type() }}) as amount,
        currency,
        refunded_at,
        cast(null as {{ dbt.type_string() }}) as reason,
        'version' as basis
    from of_order_versions
)

select
    'eventbrite-' || online_rows.refund_id as refund_key,
    'eventbrite' as source,
    online_rows.refund_id,
    online_rows.ticket_key,
    online_rows.order_item_key,
    online_rows.event_key,
    online_rows.amount,
    online_rows.currency,
    online_rows.refunded_at,
    {{ local_ts('online_rows.refunded_at', "coalesce(events.timezone, 'UTC')") }} as refunded_local,
    cast({{ local_ts('online_rows.refunded_at', "coalesce(events.timezone, 'UTC')") }} as date)
        as refunded_date,
    online_rows.reason,
    online_rows.basis
from online_rows
left join events on online_rows.event_key = events.event_key
union all
select
    'sheets-' || sheet.refund_id as refund_key,
    'sheets' as source,
    sheet.refund_id,
    tickets.ticket_key,
    cast(null as {{ dbt.type_string() }}) as order_item_key,
    coalesce(tickets.event_key, sheet_events.event_key, 'sheets-unknown') as event_key,
    cast(coalesce(sheet.refund_amount, 0) as {{ money_type() }}) as amount,
    case when tickets.ticket_key is null then sheet_events.currency else tickets.currency end as currency,
    {{ sheet_utc('sheet.refunded_local') }} as refunded_at,
    sheet.refunded_local,
    cast(sheet.refunded_local as date) as refunded_date,
    sheet.reason,
    'sheet' as basis
from sheet
left join left_out on sheet.record = left_out.record and sheet.file = left_out.file
left join {{ tickets }} as tickets on 'sheets-' || sheet.ticket_id = tickets.ticket_key
left join sheet_events on sheet.event_id = sheet_events.event_id
-- Nothing was paid for an unpaid ticket: data_issues names its refund.
where left_out.record is null and coalesce(tickets.status, '') <> 'unpaid'
