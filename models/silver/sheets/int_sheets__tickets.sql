-- Grain: one row per ticket of the sheet, in our words.
{{ config(materialized='table') }}
with sheet as (select * from {{ ref('stg_sheets__tickets') }}),

left_out as (select * from {{ ref('int_sheets__left_out') }}),

sheet_events as (select * from {{ ref('int_sheets__event_keys') }}),

-- Words are folded once, not once a ticket.
sheet_channels as (
    select
        channel as channel_name,
        {{ folded('channel') }} as channel
    from (select distinct channel from {{ ref('stg_sheets__tickets') }}) as named
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

tickets as (
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
    'sheets-' || ticket_id as ticket_key,
    ticket_id,
    event_key,
    customer_id,
    status,
    status = 'valid' as is_valid,
    coalesce(price_paid = 0, false) and status <> 'unpaid' as is_free,
    channel,
    {{ sheet_utc('sold_local') }} as sold_at,
    sold_local,
    cast(sold_local as date) as sold_date,
    currency,
    cast(case when status = 'unpaid' then 0 else coalesce(price_paid, 0) end as {{ money_type() }})
        as gross_amount,
    cast(case when status = 'unpaid' then 0 else coalesce(refunds_amount, 0) end as {{ money_type() }})
        as refunds_amount,
    record as sheet_record,
    has_issue
from tickets
