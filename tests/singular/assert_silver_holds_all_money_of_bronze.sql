-- What the sources say was paid, less what is unpaid and the records that data_issues says are left out, is
-- in silver.tickets. Eventbrite says what is left after refunds, so there gross less refunds is compared.
{{ config(group='silver') }}
with attendees as (select * from {{ ref('stg_eventbrite__attendees') }}),

-- Few, where orders are many.
unpaid_orders as (
    select order_id from {{ ref('stg_eventbrite__orders') }}
    where is_unpaid
),

sheet as (select * from {{ ref('stg_sheets__tickets') }}),

left_out as (
    select
        file,
        record
    from {{ ref('int_sheets__left_out') }}
    where sheet = 'tickets'
),

currencies as (select * from {{ ref('currencies') }}),

tickets as (select * from {{ ref('tickets') }}),

online as (
    select sum({{ minor_to_major('attendees.gross_minor', 'currencies.exponent') }}) as amount
    from attendees
    left join unpaid_orders on attendees.order_id = unpaid_orders.order_id
    left join currencies on attendees.currency = currencies.currency
    where not attendees.is_unpaid and unpaid_orders.order_id is null
),

offline as (
    select sum(coalesce(sheet.price_paid, 0)) as amount
    from sheet
    left join left_out on sheet.file = left_out.file and sheet.record = left_out.record
    where left_out.record is null and {{ sheet_ticket_status('sheet.status') }} <> 'unpaid'
),

said as (
    select
        'eventbrite' as source,
        amount
    from online
    union all
    select
        'sheets' as source,
        amount
    from offline
),

held as (
    select
        source,
        sum(gross_amount - case when source = 'eventbrite' then refunds_amount else 0 end) as amount
    from tickets
    group by source
)

select
    said.source,
    said.amount as amount_said,
    held.amount as amount_held
from said
left join held on said.source = held.source
where coalesce(said.amount, 0) <> coalesce(held.amount, 0)
