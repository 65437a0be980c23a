-- Grain: one row per problem of a record, a cell or an object. Everything here was found while building
-- silver: rows of sources are read again only where they are few.
{%- set text = dbt.type_string() %}
{%- set day = 'not a date as YYYY-MM-DD: taken as empty' %}
{%- set number = 'not a number: taken as empty' %}
{%- set whole = 'not a whole number: taken as empty' %}
{%- set cells = {
    'artists': {'artist_id': {'created_at': ['created_date', day]}},
    'venues': {'venue_id': {'capacity': ['capacity', whole]}},
    'events': {'event_id': {'event_date': ['event_date', day], 'ticket_price': ['ticket_price', number]}},
    'customers': {'customer_id': {'created_at': ['created_date', day]}},
    'refunds': {'refund_id': {
        'refund_amount': ['refund_amount', number],
        'refunded_at': ['refunded_local', day],
    }},
    'campaigns': {'campaign_id': {
        'spend': ['spend_amount', number],
        'impressions': ['impressions', whole],
        'clicks': ['clicks', whole],
        'conversions': ['conversions', whole],
        'start_date': ['start_date', day],
        'end_date': ['end_date', day],
    }},
} %}
{#- Large, and read for a few columns at a time: as a CTE all of those would be held at once. #}
{%- set tickets = ref('tickets') %}
{%- set attendees = ref('stg_eventbrite__attendees') %}
{%- set online_orders = ref('stg_eventbrite__orders') %}
with left_out as (select * from {{ ref('int_sheets__left_out') }}),

rejects as (select * from {{ source('sheets', 'rejects') }}),

events as (select * from {{ ref('known_events') }}),

classes as (select * from {{ ref('ticket_classes') }}),

currencies as (select * from {{ ref('currencies') }}),

sheet_tickets as (
    select
        file,
        record,
        line,
        ticket_id,
        event_id,
        customer_id,
        status,
        price_paid_text,
        purchase_datetime_text
    from {{ ref('stg_sheets__tickets') }}
),

sheet_refunds as (
    select
        refunds.file,
        refunds.line,
        refunds.refund_id,
        refunds.ticket_id,
        refunds.event_id,
        refunds.refund_amount
    from {{ ref('stg_sheets__refunds') }} as refunds
    left join left_out
        on
            refunds.record = left_out.record
            and refunds.file = left_out.file
            and left_out.sheet = 'refunds'
    where left_out.record is null
),

sheet_events as (select * from {{ ref('int_sheets__event_keys') }}),

sheet_scans as (
    select
        scans.file,
        scans.line,
        scans.checkin_id,
        scans.ticket_id,
        scans.event_id,
        scans.scanned_at_text
    from {{ ref('stg_sheets__checkins') }} as scans
    left join left_out
        on
            scans.record = left_out.record
            and scans.file = left_out.file
            and left_out.sheet = 'checkins'
    where left_out.record is null
),

unknown_customers as (
    select distinct tickets.customer_id
    from {{ tickets }} as tickets
    left join {{ ref('stg_sheets__customers') }} as customers on tickets.customer_id = customers.customer_id
    where tickets.source = 'sheets' and tickets.customer_id is not null and customers.customer_id is null
),

-- The sheet's tickets with any problem, each with its line.
troubled as (
    select
        tickets.event_key,
        tickets.status,
        tickets.gross_amount,
        tickets.refunds_amount,
        tickets.sold_local,
        unknown_customers.customer_id as unknown_customer_id,
        sheet_tickets.file,
        sheet_tickets.line,
        sheet_tickets.ticket_id,
        sheet_tickets.event_id,
        sheet_tickets.status as status_text,
        sheet_tickets.price_paid_text,
        sheet_tickets.purchase_datetime_text
    from {{ tickets }} as tickets
    left join unknown_customers on tickets.customer_id = unknown_customers.customer_id
    inner join sheet_tickets
        on
            tickets.sheet_record = sheet_tickets.record
            and tickets.ticket_id = sheet_tickets.ticket_id
    where
        tickets.source = 'sheets'
        and (
            tickets.has_issue
            or tickets.status = 'unknown'
            or tickets.refunds_amount > tickets.gross_amount
            or tickets.gross_amount < 0
            or (
                tickets.status in ('refunded', 'cancelled')
                and tickets.refunds_amount = 0
                and tickets.gross_amount <> 0
            )
            or unknown_customers.customer_id is not null
        )
),

ticket_problems as (
    select
        file,
        line,
        ticket_id,
        'price_paid' as column_name,
        price_paid_text as value,
        case
            when price_paid_text is null then 'no price: counted as 0'
            else 'not a number: counted as 0'
        end as reason,
        case when price_paid_text is null then 'flagged' else 'blanked' end as severity
    from troubled
    where price_paid_text is null or {{ try_number('price_paid_text') }} is null
    union all
    select
        file,
        line,
        ticket_id,
        'purchase_datetime' as column_name,
        purchase_datetime_text as value,
        case
            when purchase_datetime_text is null then 'no date: counted, but on no day'
            else 'not a date as YYYY-MM-DD: counted, but on no day'
        end as reason,
        case when purchase_datetime_text is null then 'flagged' else 'blanked' end as severity
    from troubled
    where sold_local is null
    union all
    select
        file,
        line,
        ticket_id,
        'event_id' as column_name,
        event_id as value,
        'no such event: counted under the event unknown' as reason,
        'flagged' as severity
    from troubled
    where event_key = 'sheets-unknown'
    union all
    select
        file,
        line,
        ticket_id,
        'customer_id' as column_name,
        unknown_customer_id as value,
        'no such customer: the ticket counts all the same' as reason,
        'flagged' as severity
    from troubled
    where unknown_customer_id is not null
    union all
    select
        file,
        line,
        ticket_id,
        'status' as column_name,
        status_text as value,
        'unknown status: not counted as sold, its money stays' as reason,
        'flagged' as severity
    from troubled
    where status = 'unknown'
    union all
    select
        file,
        line,
        ticket_id,
        'price_paid' as column_name,
        cast(refunds_amount as {{ text }}) as value,
        'refunded more than it cost: both amounts stay' as reason,
        'flagged' as severity
    from troubled
    where refunds_amount > gross_amount and refunds_amount > 0
    union all
    select
        file,
        line,
        ticket_id,
        'price_paid' as column_name,
        price_paid_text as value,
        'below 0: kept, and lowers the revenue' as reason,
        'flagged' as severity
    from troubled
    where gross_amount < 0
    union all
    select
        file,
        line,
        ticket_id,
        'status' as column_name,
        status_text as value,
        'not valid any more, and no refund on record: its money stays' as reason,
        'flagged' as severity
    from troubled
    where status in ('refunded', 'cancelled') and refunds_amount = 0 and gross_amount <> 0
),

{%- for sheet, by_key in cells.items() %}
    {%- for key, columns in by_key.items() %}

        {{ sheet }}_cells as (
            {%- for column, (typed, reason) in columns.items() %}
                select
                    '{{ sheet }}' as table_name,
                    records.file,
                    records.line,
                    records.{{ key }} as record_key,
                    '{{ column }}' as column_name,
                    records.{{ column }}_text as value,
                    '{{ reason }}' as reason
                from {{ ref('stg_sheets__' ~ sheet) }} as records
                left join left_out
                    on
                        records.record = left_out.record
                        and records.file = left_out.file
                        and left_out.sheet = '{{ sheet }}'
                where
                    records.{{ column }}_text is not null
                    and records.{{ typed }} is null
                    and left_out.record is null
                {% if not loop.last %}union all{% endif %}
            {%- endfor %}
        ),
    {%- endfor %}
{%- endfor %}

blanked as (
    {%- for sheet in cells %}
        select * from {{ sheet }}_cells
        {% if not loop.last %}union all{% endif %}
    {%- endfor %}
    union all
    select
        'checkins' as table_name,
        scans.file,
        scans.line,
        scans.checkin_id as record_key,
        'scanned_at' as column_name,
        scans.scanned_at_text as value,
        '{{ day }}' as reason
    from {{ ref('checkins') }} as checkins
    inner join sheet_scans as scans on checkins.checkin_id = scans.checkin_id
    where
        checkins.source = 'sheets'
        and checkins.checked_in_local is null
        and scans.scanned_at_text is not null
),

-- Eventbrite's tickets that name what it does not list.
astray as (
    select
        attendees.ticket_id,
        attendees.event_id,
        attendees.order_id,
        attendees.ticket_class_id,
        tickets.event_key
    from {{ tickets }} as tickets
    inner join {{ attendees }} as attendees on tickets.ticket_id = attendees.ticket_id
    where tickets.source = 'eventbrite' and tickets.has_issue
),

orphans as (
    select
        source,
        'events' as table_name,
        event_id as record_key,
        'artist_id' as column_name,
        artist_id as value,
        'no such artist: the event has none' as reason
    from events
    where artist_id is not null and artist_key is null
    union all
    select
        source,
        'events' as table_name,
        event_id as record_key,
        'venue_id' as column_name,
        venue_id as value,
        'no such venue: the event has none, and not its capacity' as reason
    from events
    where venue_id is not null and venue_key is null
    union all
    select
        checkins.source,
        'checkins' as table_name,
        checkins.checkin_id as record_key,
        'ticket_id' as column_name,
        scans.ticket_id as value,
        'no such ticket: the scan does not count' as reason
    from {{ ref('checkins') }} as checkins
    inner join sheet_scans as scans on checkins.checkin_id = scans.checkin_id
    where checkins.source = 'sheets' and checkins.ticket_key is null
    union all
    select
        checkins.source,
        'checkins' as table_name,
        checkins.checkin_id as record_key,
        'event_id' as column_name,
        scans.event_id as value,
        'not the event of its ticket: the scan counts for the ticket''s' as reason
    from {{ ref('checkins') }} as checkins
    inner join sheet_scans as scans on checkins.checkin_id = scans.checkin_id
    where checkins.is_elsewhere
    union all
    select
        'sheets' as source,
        'refunds' as table_name,
        refunds.refund_id as record_key,
        'event_id' as column_name,
        sheet_refunds.event_id as value,
        'not the event of its ticket: the refund counts for the ticket''s' as reason
    from {{ ref('refunds') }} as refunds
    inner join sheet_refunds on refunds.refund_id = sheet_refunds.refund_id
    left join sheet_events on sheet_refunds.event_id = sheet_events.event_id
    where
        refunds.source = 'sheets'
        and refunds.ticket_key is not null
        and sheet_refunds.event_id is not null
        and coalesce(sheet_events.event_key, 'sheets-unknown') <> refunds.event_key
    union all
    select
        'sheets' as source,
        'event_links' as table_name,
        event_links.sheets_event_id as record_key,
        'eventbrite_event_id' as column_name,
        event_links.eventbrite_event_id as value,
        case
            when sheet_events.event_id is null then 'the sheet has no such event: joins nothing'
            when sheet_events.is_linked then 'its event is joined to another already: joins nothing'
            else 'Eventbrite has no such event, or it is a series: joins nothing'
        end as reason
    from {{ ref('event_links') }} as event_links
    left join sheet_events on event_links.sheets_event_id = sheet_events.event_id
    where coalesce(sheet_events.event_key, '') <> 'eventbrite-' || event_links.eventbrite_event_id
    union all
    select
        'sheets' as source,
        'refunds' as table_name,
        refunds.refund_id as record_key,
        'ticket_id' as column_name,
        sheet_refunds.ticket_id as value,
        'no such ticket: the refund counts for the event it names' as reason
    from {{ ref('refunds') }} as refunds
    inner join sheet_refunds on refunds.refund_id = sheet_refunds.refund_id
    where refunds.source = 'sheets' and refunds.ticket_key is null
    union all
    select
        campaigns.source,
        'campaigns' as table_name,
        campaigns.campaign_id as record_key,
        'event_id' as column_name,
        sheet.event_id as value,
        'no such event: its spend is under the event unknown' as reason
    from {{ ref('campaigns') }} as campaigns
    inner join {{ ref('stg_sheets__campaigns') }} as sheet on campaigns.campaign_id = sheet.campaign_id
    left join left_out
        on
            sheet.record = left_out.record
            and sheet.file = left_out.file
            and left_out.sheet = 'campaigns'
    where campaigns.event_key = 'sheets-unknown' and left_out.record is null
    union all
    select
        'eventbrite' as source,
        'attendees' as table_name,
        ticket_id as record_key,
        'event_id' as column_name,
        event_id as value,
        'no such event: counted under the event unknown' as reason
    from astray
    where event_key = 'eventbrite-unknown'
    union all
    select
        'eventbrite' as source,
        'attendees' as table_name,
        astray.ticket_id as record_key,
        'order_id' as column_name,
        astray.order_id as value,
        'no such order: the ticket counts by itself' as reason
    from astray
    left join {{ online_orders }} as online_orders on astray.order_id = online_orders.order_id
    where astray.order_id is not null and online_orders.order_id is null
    union all
    select
        'eventbrite' as source,
        'attendees' as table_name,
        astray.ticket_id as record_key,
        'ticket_class_id' as column_name,
        astray.ticket_class_id as value,
        'no such ticket class: counted as an admission' as reason
    from astray
    left join classes on astray.ticket_class_id = classes.ticket_class_id
    where astray.ticket_class_id is not null and classes.ticket_class_id is null
    union all
    select
        source,
        'orders' as table_name,
        order_id as record_key,
        'event_id' as column_name,
        cast(null as {{ text }}) as value,
        'no such event: what it holds is under the event unknown' as reason
    from {{ ref('orders') }}
    where event_key = 'eventbrite-unknown'
),

unknown_words as (
    select
        'eventbrite' as source,
        'attendees' as table_name,
        attendees.ticket_id as record_key,
        'status' as column_name,
        attendees.status as value,
        'unknown status: not counted as sold, its money stays' as reason
    from {{ tickets }} as tickets
    inner join {{ attendees }} as attendees on tickets.ticket_id = attendees.ticket_id
    where tickets.source = 'eventbrite' and tickets.status = 'unknown'
    union all
    select
        'eventbrite' as source,
        'orders' as table_name,
        order_id as record_key,
        'status' as column_name,
        status as value,
        'unknown status: counted as paid' as reason
    from {{ online_orders }}
    where
        status not in (
            'placed', 'completed', 'started', 'pending', 'unpaid', 'abandoned',
            'refunded', 'cancelled', 'canceled', 'deleted'
        )
    union all
    select
        'eventbrite' as source,
        'ticket_classes' as table_name,
        ticket_class_id as record_key,
        'category' as column_name,
        category as value,
        'unknown category: counted as an admission' as reason
    from {{ ref('stg_eventbrite__ticket_classes') }}
    where category not in ('admission', 'add_on', 'donation')
    union all
    select
        'eventbrite' as source,
        'events' as table_name,
        online.event_id as record_key,
        'start.timezone' as column_name,
        online.timezone as value,
        'unknown time zone: taken as UTC' as reason
    from {{ ref('stg_eventbrite__events') }} as online
    inner join events on 'eventbrite-' || online.event_id = events.event_key
    where online.timezone is not null and events.timezone is null
    union all
    select
        source,
        'events' as table_name,
        event_id as record_key,
        'status' as column_name,
        status as value,
        'unknown status: taken as not cancelled' as reason
    from events
    where
        status not in (
            'draft', 'planned', 'announced', 'scheduled', 'upcoming', 'confirmed', 'active', 'on sale',
            'on_sale', 'onsale', 'live', 'sold out', 'sold_out', 'postponed', 'rescheduled', 'started',
            'ended', 'past', 'completed', 'cancelled', 'canceled', 'deleted'
        )
),

-- Money in a currency that is none, or not the event's.
sums as (
    select
        source,
        event_key,
        currency,
        count(*) as tickets,
        sum(gross_amount) as gross_amount,
        sum(refunds_amount) as refunds_amount
    from {{ tickets }}
    group by source, event_key, currency
),

ranked as (
    select
        sums.source,
        sums.event_key,
        sums.currency,
        currencies.exponent,
        case when sums.gross_amount <> 0 or sums.refunds_amount <> 0 then 1 else 0 end as has_money,
        coalesce(
            events.currency,
            first_value(sums.currency) over (
                partition by sums.event_key
                order by
                    case when sums.currency is null then 1 else 0 end asc,
                    sums.tickets desc,
                    sums.currency asc
            )
        ) as event_currency
    from sums
    left join events on sums.event_key = events.event_key
    left join currencies on sums.currency = currencies.currency
),

currency_problems as (
    select
        source,
        'tickets' as table_name,
        event_key as record_key,
        'currency' as column_name,
        currency as value,
        case
            when currency is null then 'money without a currency: never added to any other'
            when exponent is null and source = 'sheets' then 'not a currency of ISO 4217: kept as written'
            when exponent is null then 'not a currency of ISO 4217: taken to have two decimals'
            else 'not the currency of its event: in event_money, not in event_sales'
        end as reason
    from ranked
    where
        has_money = 1
        and (currency is null or exponent is null or currency <> event_currency)
),

first_versions as (
    select * from {{ ref('stg_eventbrite__attendee_versions') }}
    where is_first_paid
),

told as (
    select distinct ticket_id from {{ ref('int_eventbrite__refunds') }}
    where basis = 'request' and ticket_id is not null
),

requested as (
    select
        requests.order_id,
        sum({{ minor_to_major('requests.amount_minor', 'currencies.exponent') }}) as amount
    from {{ ref('stg_eventbrite__refund_requests') }} as requests
    inner join {{ online_orders }} as online_orders on requests.order_id = online_orders.order_id
    left join events on 'eventbrite-' || online_orders.event_id = events.event_key
    left join currencies on coalesce(online_orders.currency, events.currency) = currencies.currency
    where requests.status = 'processed' and requests.amount_minor > 0 and not online_orders.is_unpaid
    group by requests.order_id
),

lowered as (
    select
        order_id,
        sum(refunds_amount) as amount
    from (
        select
            tickets.order_id,
            tickets.refunds_amount
        from {{ tickets }} as tickets
        inner join requested on tickets.order_id = requested.order_id
        union all
        select
            order_id,
            refunds_amount
        from {{ ref('order_items') }}
    ) as refunded
    group by order_id
),

suspects as (
    select * from {{ attendees }}
    where is_refunded or is_cancelled or ticket_id in (select ticket_id from first_versions)
),

money_problems as (
    select
        'attendees' as table_name,
        suspects.ticket_id as record_key,
        'costs.gross' as column_name,
        cast(tickets.gross_amount as {{ text }}) as value,
        'refunded or cancelled before first seen, no refund request says how much: the price seen counts'
            as reason
    from suspects
    inner join {{ tickets }} as tickets
        on suspects.ticket_id = tickets.ticket_id and tickets.source = 'eventbrite'
    left join first_versions on suspects.ticket_id = first_versions.ticket_id
    left join classes on tickets.ticket_class_key = classes.ticket_class_key
    left join told on suspects.ticket_id = told.ticket_id
    left join {{ online_orders }} as online_orders on suspects.order_id = online_orders.order_id
    where
        (suspects.is_refunded or suspects.is_cancelled or first_versions.is_refunded)
        and not suspects.is_unpaid
        and not coalesce(online_orders.is_unpaid, false)
        and not coalesce(classes.is_free, false)
        and told.ticket_id is null
        and (
            coalesce(first_versions.is_refunded, suspects.is_refunded)
            or (
                first_versions.ticket_id is null
                and suspects.is_cancelled
                and suspects.gross_minor = 0
            )
        )
    union all
    select
        'attendees' as table_name,
        suspects.ticket_id as record_key,
        'costs.gross' as column_name,
        cast(tickets.gross_amount as {{ text }}) as value,
        'costs more today than when first seen: the higher price counts' as reason
    from first_versions
    inner join suspects on first_versions.ticket_id = suspects.ticket_id
    inner join {{ tickets }} as tickets
        on suspects.ticket_id = tickets.ticket_id and tickets.source = 'eventbrite'
    where suspects.gross_minor > first_versions.gross_minor and not suspects.is_unpaid
    union all
    select
        'attendees' as table_name,
        suspects.ticket_id as record_key,
        'refunded' as column_name,
        cast(tickets.gross_amount as {{ text }}) as value,
        'says that it was refunded, but its price was never lowered: no refund is counted' as reason
    from first_versions
    inner join suspects on first_versions.ticket_id = suspects.ticket_id
    inner join {{ tickets }} as tickets
        on suspects.ticket_id = tickets.ticket_id and tickets.source = 'eventbrite'
    where
        suspects.is_refunded
        and not first_versions.is_refunded
        and tickets.refunds_amount = 0
        and tickets.gross_amount <> 0
    union all
    select
        'attendees' as table_name,
        ticket_id as record_key,
        'costs.gross' as column_name,
        cast(gross_amount - refunds_amount as {{ text }}) as value,
        'gone from Eventbrite without a refund: not counted as sold, its money stays' as reason
    from {{ tickets }}
    where source = 'eventbrite' and status = 'deleted' and gross_amount <> refunds_amount
    union all
    select
        'orders' as table_name,
        requested.order_id as record_key,
        'refund_requests' as column_name,
        cast(requested.amount as {{ text }}) as value,
        'its refund requests paid back more than its costs fell by: only the fall counts as refund' as reason
    from requested
    left join lowered on requested.order_id = lowered.order_id
    where requested.amount > coalesce(lowered.amount, 0)
    union all
    select
        'orders' as table_name,
        order_id as record_key,
        'costs.gross' as column_name,
        cast(gross_amount as {{ text }}) as value,
        'the order costs less than its tickets together: the tickets count' as reason
    from {{ ref('int_eventbrite__order_balances') }}
    where gross_amount < 0
    union all
    select
        'orders' as table_name,
        order_id as record_key,
        'costs.gross' as column_name,
        cast(refunds_amount as {{ text }}) as value,
        'the order was lowered by less than its tickets together: the tickets count' as reason
    from {{ ref('int_eventbrite__order_balances') }}
    where gross_amount >= 0 and refunds_amount < 0
),

day_problems as (
    select
        source,
        'tickets' as table_name,
        ticket_id as record_key,
        'sold_date' as column_name,
        cast(sold_date as {{ text }}) as value
    from {{ tickets }}
    where sold_date < cast('1990-01-01' as date) or sold_date > cast('2100-12-31' as date)
    union all
    select
        source,
        'events' as table_name,
        event_id as record_key,
        'event_date' as column_name,
        cast(event_date as {{ text }}) as value
    from events
    where event_date < cast('1990-01-01' as date) or event_date > cast('2100-12-31' as date)
    union all
    select
        source,
        'refunds' as table_name,
        refund_id as record_key,
        'refunded_date' as column_name,
        cast(refunded_date as {{ text }}) as value
    from {{ ref('refunds') }}
    where refunded_date < cast('1990-01-01' as date) or refunded_date > cast('2100-12-31' as date)
    union all
    select
        source,
        'checkins' as table_name,
        checkin_id as record_key,
        'checked_in_local' as column_name,
        cast(checked_in_local as {{ text }}) as value
    from {{ ref('checkins') }}
    where
        checked_in_local < cast('1990-01-01' as timestamp)
        or checked_in_local >= cast('2101-01-01' as timestamp)
),

campaign_problems as (
    select
        source,
        campaign_id as record_key,
        'end_date' as column_name,
        cast(end_date as {{ text }}) as value,
        'ends before it starts: no sale is inside it' as reason
    from {{ ref('campaigns') }}
    where end_date < start_date
    union all
    select
        source,
        campaign_id as record_key,
        'channel' as column_name,
        channel_name as value,
        'no channel: called unknown' as reason
    from {{ ref('campaigns') }}
    where channel = 'unknown' and {{ folded('channel_name') }} is null
),

unpaid_refunds as (
    select
        sheet_refunds.file,
        sheet_refunds.line,
        sheet_refunds.refund_id,
        sheet_refunds.refund_amount
    from sheet_refunds
    inner join {{ tickets }} as tickets on 'sheets-' || sheet_refunds.ticket_id = tickets.ticket_key
    where tickets.status = 'unpaid'
),

refund_problems as (
    select
        source,
        refund_id,
        'refunded_at' as column_name,
        amount as value,
        'no date: counted, but on no day' as reason
    from {{ ref('refunds') }}
    where refunded_date is null
    union all
    select
        refunds.source,
        refunds.refund_id,
        'refunded_at' as column_name,
        refunds.amount as value,
        'paid back before the ticket was sold: counted on the day it states' as reason
    from {{ ref('refunds') }} as refunds
    inner join {{ tickets }} as tickets on refunds.ticket_key = tickets.ticket_key
    where refunds.refunded_date < tickets.sold_date
    union all
    select
        source,
        refund_id,
        'refund_amount' as column_name,
        amount as value,
        'below 0: kept, and lowers the refunds' as reason
    from {{ ref('refunds') }}
    where amount < 0
)

select
    'sheets' as source,
    sheet as table_name,
    file,
    line,
    cast(null as {{ text }}) as record_key,
    cast(null as {{ text }}) as column_name,
    cast(null as {{ text }}) as value,
    reason || ': the record is left out' as reason,
    'left_out' as severity
from rejects
union all
select
    'sheets' as source,
    sheet as table_name,
    file,
    line,
    record_key,
    cast(null as {{ text }}) as column_name,
    cast(null as {{ text }}) as value,
    case
        when reason = 'no key' then 'no id: the record is left out'
        else 'a later record has the same id: that one counts, this one is left out'
    end as reason,
    'left_out' as severity
from left_out
union all
select
    'sheets' as source,
    'tickets' as table_name,
    file,
    line,
    ticket_id as record_key,
    column_name,
    value,
    reason,
    severity
from ticket_problems
union all
select
    'sheets' as source,
    table_name,
    file,
    line,
    record_key,
    column_name,
    value,
    reason,
    'blanked' as severity
from blanked
union all
select
    'sheets' as source,
    'refunds' as table_name,
    file,
    line,
    refund_id as record_key,
    'refund_amount' as column_name,
    cast(refund_amount as {{ text }}) as value,
    'refund of a ticket that was never paid: not counted' as reason,
    'left_out' as severity
from unpaid_refunds
{%- for problems in ['orphans', 'unknown_words', 'currency_problems'] %}
    union all
    select
        source,
        table_name,
        cast(null as {{ text }}) as file,
        cast(null as bigint) as line,
        record_key,
        column_name,
        value,
        reason,
        'flagged' as severity
    from {{ problems }}
{%- endfor %}
union all
select
    'eventbrite' as source,
    table_name,
    cast(null as {{ text }}) as file,
    cast(null as bigint) as line,
    record_key,
    column_name,
    value,
    reason,
    'flagged' as severity
from money_problems
union all
select
    source,
    table_name,
    cast(null as {{ text }}) as file,
    cast(null as bigint) as line,
    record_key,
    column_name,
    value,
    'outside 1990 to 2100: on no day of the calendar' as reason,
    'flagged' as severity
from day_problems
union all
select
    source,
    'campaigns' as table_name,
    cast(null as {{ text }}) as file,
    cast(null as bigint) as line,
    record_key,
    column_name,
    value,
    reason,
    'flagged' as severity
from campaign_problems
union all
select
    source,
    'refunds' as table_name,
    cast(null as {{ text }}) as file,
    cast(null as bigint) as line,
    refund_id as record_key,
    column_name,
    cast(value as {{ text }}) as value,
    reason,
    'flagged' as severity
from refund_problems
union all
select
    'airtable' as source,
    table_name,
    cast(null as {{ text }}) as file,
    cast(null as bigint) as line,
    record_key,
    column_name,
    value,
    reason,
    severity
from {{ ref('int_airtable__issues') }}
