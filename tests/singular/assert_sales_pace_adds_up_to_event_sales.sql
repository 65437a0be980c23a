-- Per event, the days of sales_pace have no gap and add up to event_sales, and the sums to date to the days.
with event_sales as (select * from {{ ref('event_sales') }}),

sales_pace as (
    select
        event_key,
        sum(tickets_sold) as tickets_sold,
        sum(gross_revenue) as gross_revenue,
        sum(refunds_amount) as refunds_amount,
        sum(case when date is not null then tickets_sold else 0 end) as tickets_dated,
        max(tickets_sold_to_date) as tickets_sold_to_date,
        count(date) as days,
        max(days_before_event) - min(days_before_event) + 1 as days_between
    from {{ ref('sales_pace') }}
    group by event_key
)

select
    event_sales.event_key,
    event_sales.tickets_sold,
    sales_pace.tickets_sold as tickets_in_sales_pace,
    event_sales.gross_revenue,
    sales_pace.gross_revenue as gross_in_sales_pace
from event_sales
left join sales_pace on event_sales.event_key = sales_pace.event_key
where
    event_sales.tickets_sold <> coalesce(sales_pace.tickets_sold, 0)
    or event_sales.gross_revenue <> coalesce(sales_pace.gross_revenue, 0)
    or event_sales.refunds_amount <> coalesce(sales_pace.refunds_amount, 0)
    or sales_pace.tickets_dated <> coalesce(sales_pace.tickets_sold_to_date, 0)
    or sales_pace.days <> coalesce(sales_pace.days_between, 0)
