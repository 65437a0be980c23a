-- Grain: one row per event and currency in which it has tickets, or money without one.
with tickets as (select * from {{ ref('tickets') }}),

order_items as (select * from {{ ref('order_items') }}),

refunds as (select * from {{ ref('refunds') }}),

entries as (
    select
        event_key,
        currency,
        count(*) as tickets_recorded,
        sum(case when is_valid and is_seat then 1 else 0 end) as tickets_sold,
        sum(case when is_valid and is_seat and is_free then 1 else 0 end) as tickets_free,
        {{ money('sum(gross_amount)') }} as gross_revenue,
        {{ money('0') }} as refunds_amount,
        {{ money('sum(fees_amount)') }} as fees_amount,
        {{ money('sum(tax_amount)') }} as tax_amount
    from tickets
    group by event_key, currency
    union all
    select
        event_key,
        currency,
        0 as tickets_recorded,
        0 as tickets_sold,
        0 as tickets_free,
        {{ money('sum(gross_amount)') }} as gross_revenue,
        {{ money('0') }} as refunds_amount,
        {{ money('sum(fees_amount)') }} as fees_amount,
        {{ money('sum(tax_amount)') }} as tax_amount
    from order_items
    group by event_key, currency
    union all
    select
        event_key,
        currency,
        0 as tickets_recorded,
        0 as tickets_sold,
        0 as tickets_free,
        {{ money('0') }} as gross_revenue,
        {{ money('sum(amount)') }} as refunds_amount,
        {{ money('0') }} as fees_amount,
        {{ money('0') }} as tax_amount
    from refunds
    where amount <> 0
    group by event_key, currency
)

select
    event_key,
    currency,
    cast(sum(tickets_recorded) as bigint) as tickets_recorded,
    cast(sum(tickets_sold) as bigint) as tickets_sold,
    cast(sum(tickets_free) as bigint) as tickets_free,
    {{ money('sum(gross_revenue)') }} as gross_revenue,
    {{ money('sum(refunds_amount)') }} as refunds_amount,
    {{ money('sum(fees_amount)') }} as fees_amount,
    {{ money('sum(tax_amount)') }} as tax_amount,
    {{ money('sum(gross_revenue - refunds_amount - fees_amount - tax_amount)') }} as net_revenue
from entries
group by event_key, currency
