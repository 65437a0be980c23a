-- Per currency, every ticket sold and all money of silver is in event_money once and in daily_metrics once.
with tickets as (select * from {{ ref('tickets') }}),

order_items as (select * from {{ ref('order_items') }}),

refunds as (select * from {{ ref('refunds') }}),

silver as (
    select
        currency,
        sum(case when is_valid and is_seat then 1 else 0 end) as tickets_sold,
        sum(gross_amount) as gross_revenue,
        sum(0) as refunds_amount,
        sum(fees_amount) as fees_amount,
        sum(tax_amount) as tax_amount
    from tickets
    group by currency
    union all
    select
        currency,
        0 as tickets_sold,
        sum(gross_amount) as gross_revenue,
        0 as refunds_amount,
        sum(fees_amount) as fees_amount,
        sum(tax_amount) as tax_amount
    from order_items
    group by currency
    union all
    select
        currency,
        0 as tickets_sold,
        0 as gross_revenue,
        sum(amount) as refunds_amount,
        0 as fees_amount,
        0 as tax_amount
    from refunds
    group by currency
),

marts as (
    select 'event_money' as mart
    union all
    select 'daily_metrics' as mart
),

balances as (
    select
        'event_money' as mart,
        currency,
        tickets_sold,
        gross_revenue,
        refunds_amount,
        fees_amount,
        tax_amount
    from {{ ref('event_money') }}
    union all
    select
        'daily_metrics' as mart,
        currency,
        tickets_sold,
        gross_revenue,
        refunds_amount,
        fees_amount,
        tax_amount
    from {{ ref('daily_metrics') }}
    union all
    select
        marts.mart,
        silver.currency,
        -silver.tickets_sold as tickets_sold,
        -silver.gross_revenue as gross_revenue,
        -silver.refunds_amount as refunds_amount,
        -silver.fees_amount as fees_amount,
        -silver.tax_amount as tax_amount
    from silver
    cross join marts
)

select
    mart,
    currency,
    sum(tickets_sold) as tickets_too_many,
    sum(gross_revenue) as gross_too_much,
    sum(refunds_amount) as refunds_too_much,
    sum(fees_amount) as fees_too_much,
    sum(tax_amount) as tax_too_much
from balances
group by mart, currency
having
    sum(tickets_sold) <> 0
    or sum(gross_revenue) <> 0
    or sum(refunds_amount) <> 0
    or sum(fees_amount) <> 0
    or sum(tax_amount) <> 0
