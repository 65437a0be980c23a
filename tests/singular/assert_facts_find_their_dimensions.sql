-- Every key in a fact or mart is in its dimension, dim_date has no gap a key could fall into, and no ticket
-- becomes two facts: fact_tickets has as many rows as tickets, whose key is tested.
with dim_date as (select * from {{ ref('dim_date') }}),

-- Once over the fact, which is a view on silver's joins.
fact_tickets as (
    select
        date_key,
        event_key,
        customer_key
    from {{ ref('fact_tickets') }}
),

date_keys as (
    select
        'fact_tickets' as mart,
        date_key
    from fact_tickets
    union distinct
    select
        'fact_checkins' as mart,
        date_key
    from {{ ref('fact_checkins') }}
    union distinct
    select
        'dim_event' as mart,
        date_key
    from {{ ref('dim_event') }}
    union distinct
    select
        'daily_metrics' as mart,
        date_key
    from {{ ref('daily_metrics') }}
    union distinct
    select
        'sales_pace' as mart,
        date_key
    from {{ ref('sales_pace') }}
),

event_keys as (
    select
        'fact_tickets' as mart,
        event_key
    from fact_tickets
    union distinct
    select
        'fact_checkins' as mart,
        event_key
    from {{ ref('fact_checkins') }}
    union distinct
    select
        'event_money' as mart,
        event_key
    from {{ ref('event_money') }}
),

tickets as (
    select
        (select count(*) from {{ ref('tickets') }}) as tickets,
        (select count(*) from fact_tickets) as facts
),

dates as (
    select
        count(full_date) as days,
        {{ dbt.datediff("min(full_date)", "max(full_date)", "day") }} + 1 as days_between
    from dim_date
)

select
    date_keys.mart,
    'date_key' as key_name,
    cast(date_keys.date_key as {{ dbt.type_string() }}) as key_value
from date_keys
left join dim_date on date_keys.date_key = dim_date.date_key
where dim_date.date_key is null
union all
select
    event_keys.mart,
    'event_key' as key_name,
    event_keys.event_key as key_value
from event_keys
left join {{ ref('dim_event') }} as dim_event on event_keys.event_key = dim_event.event_key
where dim_event.event_key is null
union all
select
    'fact_tickets' as mart,
    'customer_key' as key_name,
    fact_tickets.customer_key as key_value
from fact_tickets
left join {{ ref('dim_customer') }} as dim_customer
    on fact_tickets.customer_key = dim_customer.customer_key
where fact_tickets.customer_key is not null and dim_customer.customer_key is null
union all
select
    'dim_date' as mart,
    'days' as key_name,
    cast(days as {{ dbt.type_string() }}) as key_value
from dates
where days <> days_between
union all
select
    'fact_tickets' as mart,
    'ticket_key' as key_name,
    cast(facts as {{ dbt.type_string() }}) as key_value
from tickets
where facts <> tickets
