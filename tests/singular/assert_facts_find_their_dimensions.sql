-- Every key in a fact or mart is in its dimension, and dim_date has no gap a key could fall into. Those of
-- fact_tickets, a view, are looked up where it takes them from: days and events in tickets, and who may buy
-- once a person rather than once a ticket. Its joins double no ticket, for the keys they go by are tested.
{%- set tickets = ref('tickets') %}
with dim_date as (select * from {{ ref('dim_date') }}),

people as (select * from {{ ref('people') }}),

days_sold as (select distinct sold_date from {{ tickets }}),

date_keys as (
    select
        'fact_tickets' as mart,
        {{ date_key('sold_date') }} as date_key
    from days_sold
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
    from {{ tickets }}
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

-- No ticket has one of these as its buyer: whoever placed an order, or is a customer of a sheet, is none.
guests as (
    select person_key from people
    where not is_customer
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
    people.customer_key as key_value
from people
left join {{ ref('dim_customer') }} as dim_customer on people.customer_key = dim_customer.customer_key
where people.is_customer and dim_customer.customer_key is null
union all
select
    'fact_tickets' as mart,
    'customer_key' as key_name,
    links.person_id as key_value
from {{ ref('person_links') }} as links
inner join guests on links.person_key = guests.person_key
where links.is_customer
union all
select
    'dim_date' as mart,
    'days' as key_name,
    cast(days as {{ dbt.type_string() }}) as key_value
from dates
where days <> days_between
