-- Grain: one row per attendee, which is one ticket, in our words.
{%- do renews_by('ticket_id') %}
{%- set attendees = ref('stg_eventbrite__attendees') %}
{%- set terms = ref('int_eventbrite__terms') %}
{%- set order_versions = ref('stg_eventbrite__order_versions') %}
with
{%- if is_incremental() %}
    -- Money is settled within an order, so what happens to one of its tickets may change the others.
    touched_orders as (
        select order_id from {{ attendees }}
        where build_number > {{ built_until() }}
        union distinct
        select order_id from {{ this }}
        where
            ticket_id in (
                select ticket_id from {{ attendees }}
                where build_number > {{ built_until() }}
            )
        union distinct
        select order_id from {{ ref('stg_eventbrite__orders') }}
        where build_number > {{ built_until() }}
        union distinct
        select order_id from {{ order_versions }}
        where build_number > {{ built_until() }}
    ),

    touched_events as (
        select id from {{ terms }}
        where kind = 'event' and build_number > {{ built_until() }}
    ),

    touched_classes as (
        select id from {{ terms }}
        where kind = 'ticket_class' and build_number > {{ built_until() }}
    ),

    touched as (
        select ticket_id from {{ attendees }}
        where build_number > {{ built_until() }}
        union distinct
        select ticket_id from {{ attendees }}
        where order_id in (select order_id from touched_orders)
        union distinct
        select ticket_id from {{ attendees }}
        where event_id in (select id from touched_events)
        union distinct
        select ticket_id from {{ attendees }}
        where ticket_class_id in (select id from touched_classes)
    ),
{% endif %}

attendees as (
    select * from {{ attendees }}
    {% if is_incremental() %} where ticket_id in (select ticket_id from touched) {% endif %}
),

first_versions as (
    select * from {{ ref('stg_eventbrite__attendee_versions') }}
    where is_first_paid
),

orders as (select * from {{ ref('stg_eventbrite__orders') }}),

classes as (select * from {{ ref('ticket_classes') }}),

events as (
    select * from {{ ref('known_events') }}
    where source = 'eventbrite'
),

currencies as (select * from {{ ref('currencies') }}),

refunds as (
    select
        ticket_id,
        sum(amount_minor) as refunds_minor
    from {{ ref('int_eventbrite__refunds') }}
    where ticket_id is not null
    group by ticket_id
),

tickets as (
    select
        attendees.ticket_id,
        coalesce(events.event_key, 'eventbrite-unknown') as event_key,
        attendees.order_id,
        classes.ticket_class_key,
        coalesce(classes.ticket_class_name, attendees.ticket_class_name) as ticket_class_name,
        {{ eventbrite_ticket_status('attendees', 'orders') }} as status,
        attendees.is_unpaid or coalesce(orders.is_unpaid, false) as is_unpaid,
        coalesce(classes.category, 'admission') = 'admission' as is_seat,
        attendees.is_refunded,
        {{ folded(
            'coalesce(attendees.promo_code, orders.promo_code, ' ~ own_affiliate('attendees.affiliate') ~ ')'
        ) }} as channel,
        coalesce(attendees.created_at, orders.created_at, attendees.changed_at) as sold_at,
        attendees.is_checked_in or coalesce(attendees.status, '') = 'checked in' as is_scanned,
        attendees.checked_in_at,
        coalesce(events.timezone, 'UTC') as timezone,
        events.event_key is null
        or (attendees.order_id is not null and orders.order_id is null)
        or (attendees.ticket_class_id is not null and classes.ticket_class_id is null) as has_issue,
        coalesce(attendees.currency, events.currency) as currency,
        currencies.exponent,
        attendees.gross_minor + coalesce(refunds.refunds_minor, 0) as gross_minor,
        coalesce(first_versions.fees_minor, attendees.fees_minor) as fees_minor,
        coalesce(first_versions.tax_minor, attendees.tax_minor) as tax_minor,
        coalesce(refunds.refunds_minor, 0) as refunds_minor
    from attendees
    left join orders on attendees.order_id = orders.order_id
    left join events on attendees.event_id = events.event_id
    left join classes on attendees.ticket_class_id = classes.ticket_class_id
    left join currencies on coalesce(attendees.currency, events.currency) = currencies.currency
    left join first_versions on attendees.ticket_id = first_versions.ticket_id
    left join refunds on attendees.ticket_id = refunds.ticket_id
)

select
    'eventbrite-' || ticket_id as ticket_key,
    ticket_id,
    event_key,
    'eventbrite-' || order_id as order_key,
    order_id,
    ticket_class_key,
    ticket_class_name,
    status,
    status = 'valid' as is_valid,
    is_seat,
    gross_minor = 0 and not is_unpaid and not is_refunded as is_free,
    channel,
    sold_at,
    {{ local_ts('sold_at', 'timezone') }} as sold_local,
    cast({{ local_ts('sold_at', 'timezone') }} as date) as sold_date,
    is_scanned,
    checked_in_at,
    {{ local_ts('checked_in_at', 'timezone') }} as checked_in_local,
    currency,
    {{ minor_to_major('case when is_unpaid then 0 else gross_minor end', 'exponent') }} as gross_amount,
    {{ minor_to_major('case when is_unpaid then 0 else fees_minor end', 'exponent') }} as fees_amount,
    {{ minor_to_major('case when is_unpaid then 0 else tax_minor end', 'exponent') }} as tax_amount,
    {{ minor_to_major('case when is_unpaid then 0 else refunds_minor end', 'exponent') }} as refunds_amount,
    has_issue,
    {{ this_build() }} as build_number
from tickets
