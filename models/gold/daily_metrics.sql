-- Grain: one row per calendar day and currency, from the first to the last day on which anything was sold
-- or refunded in any currency; days without either are zeros. What has no usable day is one row without
-- a date per currency, so that sums over the table are the whole.
with tickets as (select * from {{ ref('tickets') }}),

order_items as (select * from {{ ref('order_items') }}),

refunds as (select * from {{ ref('refunds') }}),

calendar as (select * from {{ ref('dim_date') }}),

entries as (
    select
        sold_date as day,
        currency,
        sum(case when is_valid and is_seat then 1 else 0 end) as tickets_sold,
        {{ money('sum(gross_amount)') }} as gross_revenue,
        {{ money('0') }} as refunds_amount,
        {{ money('sum(fees_amount)') }} as fees_amount,
        {{ money('sum(tax_amount)') }} as tax_amount
    from tickets
    group by sold_date, currency
    union all
    select
        sold_date as day,
        currency,
        0 as tickets_sold,
        {{ money('sum(gross_amount)') }} as gross_revenue,
        {{ money('0') }} as refunds_amount,
        {{ money('sum(fees_amount)') }} as fees_amount,
        {{ money('sum(tax_amount)') }} as tax_amount
    from order_items
    group by sold_date, currency
    union all
    select
        refunded_date as day,
        currency,
        0 as tickets_sold,
        {{ money('0') }} as gross_revenue,
        {{ money('sum(amount)') }} as refunds_amount,
        {{ money('0') }} as fees_amount,
        {{ money('0') }} as tax_amount
    from refunds
    group by refunded_date, currency
),

-- A ticket that was never paid for, or a free one called off, makes no day of activity.
activity as (
    select
        {{ date_key('day') }} as date_key,
        currency,
        tickets_sold,
        gross_revenue,
        refunds_amount,
        fees_amount,
        tax_amount
    from entries
    where
        tickets_sold <> 0
        or gross_revenue <> 0
        or refunds_amount <> 0
        or fees_amount <> 0
        or tax_amount <> 0
),

bounds as (
    select
        min(date_key) as first_key,
        max(date_key) as last_key
    from activity
    where date_key <> -1
),

currencies as (
    select distinct currency from activity
),

padded as (
    select * from activity
    union all
    select
        calendar.date_key,
        currencies.currency,
        0 as tickets_sold,
        {{ money('0') }} as gross_revenue,
        {{ money('0') }} as refunds_amount,
        {{ money('0') }} as fees_amount,
        {{ money('0') }} as tax_amount
    from calendar
    cross join currencies
    inner join bounds on calendar.date_key between bounds.first_key and bounds.last_key
),

days as (
    select
        date_key,
        currency,
        sum(tickets_sold) as tickets_sold,
        sum(gross_revenue) as gross_revenue,
        sum(refunds_amount) as refunds_amount,
        sum(fees_amount) as fees_amount,
        sum(tax_amount) as tax_amount
    from padded
    group by date_key, currency
),

-- The row without a date stands apart, so that it is no one's neighbour.
weeks as (
    select
        days.*,
        count(*) over last_seven as days_in_window,
        sum(gross_revenue) over last_seven as gross_revenue_in_window
    from days
    window last_seven as (
        partition by currency, case when date_key = -1 then 0 else 1 end
        order by date_key
        rows between 6 preceding and current row
    )
)

select
    calendar.full_date as date,
    weeks.currency,
    weeks.date_key,
    cast(weeks.tickets_sold as bigint) as tickets_sold,
    {{ money('weeks.gross_revenue') }} as gross_revenue,
    {{ money('weeks.refunds_amount') }} as refunds_amount,
    {{ money('weeks.fees_amount') }} as fees_amount,
    {{ money('weeks.tax_amount') }} as tax_amount,
    {{
        money('weeks.gross_revenue - weeks.refunds_amount - weeks.fees_amount - weeks.tax_amount')
    }} as net_revenue,
    case
        when weeks.days_in_window = 7 then {{ money(ratio('weeks.gross_revenue_in_window', '7')) }}
    end as gross_revenue_7d_mean
from weeks
inner join calendar on weeks.date_key = calendar.date_key
