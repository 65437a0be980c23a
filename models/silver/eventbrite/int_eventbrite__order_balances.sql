-- Grain: one row per paid order whose money is not that of its attendees, by the rule of versions both
-- follow. What the order has more is an order item; where it has less, something does not add up and is
-- named.
{%- do renews_by('order_id', gone='event_key is null') %}
{%- set tickets = ref('int_eventbrite__tickets') %}
{%- set terms = ref('int_eventbrite__terms') %}
{%- set bare = ref('int_eventbrite__bare_orders') %}
with order_versions as (select * from {{ ref('stg_eventbrite__order_versions') }}),

orders as (
    select * from {{ ref('stg_eventbrite__orders') }}
    {% if is_incremental() %}
        where
            build_number > {{ built_until() }}
            or order_id in (
                select order_id from order_versions
                where build_number > {{ built_until() }}
            )
            or order_id in (
                select order_id from {{ tickets }}
                where build_number > {{ built_until() }}
            )
            or order_id in (select order_id from {{ bare }})
            or event_id in (
                select id from {{ terms }}
                where kind = 'event' and build_number > {{ built_until() }}
            )
    {% endif %}
),

first_versions as (
    select * from order_versions
    where is_first_paid
),

events as (select * from {{ ref('known_events') }}),

currencies as (select * from {{ ref('currencies') }}),

processed as (
    select * from {{ ref('stg_eventbrite__refund_requests') }}
    where status = 'processed' and amount_minor > 0 and processed_at is not null
),

attended as (
    select
        order_id,
        sum(gross_amount) as gross_amount,
        sum(fees_amount) as fees_amount,
        sum(tax_amount) as tax_amount,
        sum(refunds_amount) as refunds_amount
    from {{ tickets }}
    {% if is_incremental() %} where order_id in (select order_id from orders) {% endif %}
    group by order_id
),

placed as (
    select
        orders.order_id,
        orders.event_id,
        orders.currency,
        orders.created_at,
        orders.changed_at,
        orders.gross_minor as left_minor,
        greatest(coalesce(first_versions.gross_minor, orders.gross_minor), orders.gross_minor) as gross_minor,
        coalesce(first_versions.fees_minor, orders.fees_minor) as fees_minor,
        coalesce(first_versions.tax_minor, orders.tax_minor) as tax_minor,
        coalesce(first_versions.changed_at, orders.changed_at) as first_changed_at
    from orders
    left join first_versions on orders.order_id = first_versions.order_id
    where not orders.is_unpaid
),

requested as (
    select
        placed.order_id,
        max(processed.processed_at) as processed_at,
        sum(case when processed.processed_at <= placed.first_changed_at then processed.amount_minor end)
            as unseen_minor
    from placed
    inner join processed on placed.order_id = processed.order_id
    group by placed.order_id
),

majors as (
    select
        placed.order_id,
        coalesce(events.event_key, 'eventbrite-unknown') as event_key,
        coalesce(events.timezone, 'UTC') as timezone,
        coalesce(placed.currency, events.currency) as currency,
        placed.created_at,
        coalesce(requested.processed_at, placed.changed_at) as refunded_at,
        {{ minor_to_major('placed.left_minor', 'currencies.exponent') }} as left_amount,
        {{ minor_to_major(
            'placed.gross_minor + coalesce(requested.unseen_minor, 0)', 'currencies.exponent'
        ) }} as gross_amount,
        {{ minor_to_major('placed.fees_minor', 'currencies.exponent') }} as fees_amount,
        {{ minor_to_major('placed.tax_minor', 'currencies.exponent') }} as tax_amount
    from placed
    left join requested on placed.order_id = requested.order_id
    left join events on 'eventbrite-' || placed.event_id = events.event_key
    left join currencies on coalesce(placed.currency, events.currency) = currencies.currency
),

beyond as (
    select
        majors.order_id,
        majors.event_key,
        majors.timezone,
        majors.currency,
        majors.created_at,
        majors.refunded_at,
        majors.gross_amount - coalesce(attended.gross_amount, 0) as gross_amount,
        majors.fees_amount - coalesce(attended.fees_amount, 0) as fees_amount,
        majors.tax_amount - coalesce(attended.tax_amount, 0) as tax_amount,
        majors.gross_amount - majors.left_amount - coalesce(attended.refunds_amount, 0) as refunds_amount
    from majors
    left join attended on majors.order_id = attended.order_id
)

select
    order_id,
    event_key,
    timezone,
    currency,
    created_at,
    refunded_at,
    cast(gross_amount as {{ money_type() }}) as gross_amount,
    cast(greatest(fees_amount, 0) as {{ money_type() }}) as fees_amount,
    cast(greatest(tax_amount, 0) as {{ money_type() }}) as tax_amount,
    cast(refunds_amount as {{ money_type() }}) as refunds_amount
from beyond
where gross_amount <> 0 or refunds_amount <> 0
{%- if is_incremental() %}
    -- Those that were one and are none any more.
    union all
    select
        orders.order_id,
        cast(null as {{ dbt.type_string() }}) as event_key,
        cast(null as {{ dbt.type_string() }}) as timezone,
        cast(null as {{ dbt.type_string() }}) as currency,
        cast(null as timestamp) as created_at,
        cast(null as timestamp) as refunded_at,
        cast(null as {{ money_type() }}) as gross_amount,
        cast(null as {{ money_type() }}) as fees_amount,
        cast(null as {{ money_type() }}) as tax_amount,
        cast(null as {{ money_type() }}) as refunds_amount
    from orders
    left join beyond on orders.order_id = beyond.order_id
    where coalesce(beyond.gross_amount, 0) = 0 and coalesce(beyond.refunds_amount, 0) = 0
{%- endif %}
