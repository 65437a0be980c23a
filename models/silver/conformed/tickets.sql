-- Grain: one row per ticket, whichever source sold it.
with attendees as (select * from {{ ref('stg_eventbrite__attendees') }}),

first_versions as (
    select * from {{ ref('stg_eventbrite__attendee_versions') }}
    where is_first_paid
),

orders as (select * from {{ ref('stg_eventbrite__orders') }}),

classes as (select * from {{ ref('ticket_classes') }}),

sheet as (select * from {{ ref('stg_sheets__tickets') }}),

left_out as (select * from {{ ref('int_sheets__left_out') }}),

sheet_events as (select * from {{ ref('int_sheets__event_keys') }}),

events as (select * from {{ ref('known_events') }}),

currencies as (select * from {{ ref('currencies') }}),

-- Words are folded once, not once a ticket.
sheet_channels as (
    select
        channel as channel_name,
        {{ folded('channel') }} as channel
    from (select distinct channel from {{ ref('stg_sheets__tickets') }}) as named
),

online_refunds as (
    select
        ticket_id,
        sum(amount_minor) as refunds_minor
    from {{ ref('int_eventbrite__refunds') }}
    where ticket_id is not null
    group by ticket_id
),

sheet_refunds as (
    select
        refunds.ticket_id,
        sum(refunds.refund_amount) as refunds_amount
    from {{ ref('stg_sheets__refunds') }} as refunds
    left join left_out
        on
            refunds.record = left_out.record
            and refunds.file = left_out.file
            and left_out.sheet = 'refunds'
    where left_out.record is null
    group by refunds.ticket_id
),

online as (
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
        coalesce(events.timezone, 'UTC') as timezone,
        coalesce(attendees.currency, events.currency) as currency,
        currencies.exponent,
        attendees.gross_minor + coalesce(online_refunds.refunds_minor, 0) as gross_minor,
        coalesce(first_versions.fees_minor, attendees.fees_minor) as fees_minor,
        coalesce(first_versions.tax_minor, attendees.tax_minor) as tax_minor,
        coalesce(online_refunds.refunds_minor, 0) as refunds_minor
    from attendees
    left join orders on attendees.order_id = orders.order_id
    left join events on 'eventbrite-' || attendees.event_id = events.event_key
    left join classes on 'eventbrite-' || attendees.ticket_class_id = classes.ticket_class_key
    left join currencies on coalesce(attendees.currency, events.currency) = currencies.currency
    left join first_versions on attendees.ticket_id = first_versions.ticket_id
    left join online_refunds on attendees.ticket_id = online_refunds.ticket_id
),

offline as (
    select
        sheet.ticket_id,
        sheet.record,
        coalesce(sheet_events.event_key, 'sheets-unknown') as event_key,
        sheet.customer_id,
        {{ sheet_ticket_status('sheet.status') }} as status,
        sheet_channels.channel,
        sheet.purchased_local as sold_local,
        coalesce(sheet.currency, sheet_events.currency) as currency,
        sheet.price_paid,
        sheet_refunds.refunds_amount,
        sheet.price_paid is null
        or sheet.purchased_local is null
        or sheet_events.event_key is null as has_issue
    from sheet
    left join left_out
        on
            sheet.record = left_out.record
            and sheet.file = left_out.file
            and left_out.sheet = 'tickets'
    left join sheet_events on sheet.event_id = sheet_events.event_id
    left join sheet_channels on sheet.channel = sheet_channels.channel_name
    left join sheet_refunds on sheet.ticket_id = sheet_refunds.ticket_id
    where left_out.record is null
)

select
    'eventbrite-' || ticket_id as ticket_key,
    'eventbrite' as source,
    ticket_id,
    event_key,
    'eventbrite-' || order_id as order_key,
    order_id,
    cast(null as {{ dbt.type_string() }}) as customer_id,
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
    currency,
    {{ minor_to_major('case when is_unpaid then 0 else gross_minor end', 'exponent') }} as gross_amount,
    {{ minor_to_major('case when is_unpaid then 0 else fees_minor end', 'exponent') }} as fees_amount,
    {{ minor_to_major('case when is_unpaid then 0 else tax_minor end', 'exponent') }} as tax_amount,
    {{ minor_to_major('case when is_unpaid then 0 else refunds_minor end', 'exponent') }} as refunds_amount,
    cast(null as bigint) as sheet_record,
    event_key = 'eventbrite-unknown' as has_issue
from online
union all
select
    'sheets-' || ticket_id as ticket_key,
    'sheets' as source,
    ticket_id,
    event_key,
    cast(null as {{ dbt.type_string() }}) as order_key,
    cast(null as {{ dbt.type_string() }}) as order_id,
    customer_id,
    cast(null as {{ dbt.type_string() }}) as ticket_class_key,
    cast(null as {{ dbt.type_string() }}) as ticket_class_name,
    status,
    status = 'valid' as is_valid,
    true as is_seat,
    coalesce(price_paid = 0, false) and status <> 'unpaid' as is_free,
    channel,
    {{ sheet_utc('sold_local') }} as sold_at,
    sold_local,
    cast(sold_local as date) as sold_date,
    currency,
    cast(case when status = 'unpaid' then 0 else coalesce(price_paid, 0) end as {{ money_type() }})
        as gross_amount,
    cast(0 as {{ money_type() }}) as fees_amount,
    cast(0 as {{ money_type() }}) as tax_amount,
    cast(case when status = 'unpaid' then 0 else coalesce(refunds_amount, 0) end as {{ money_type() }})
        as refunds_amount,
    record as sheet_record,
    has_issue
from offline
