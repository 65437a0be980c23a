-- Grain: one row per person who placed an order or is a customer of a sheet, whether or not they bought.
-- depends_on: {{ ref('int_eventbrite__bare_orders') }}
{%- do renews_by('customer_key', gone='source is null') %}
{%- set all_people = ref('people') %}
{%- set all_links = ref('person_links') %}
{%- set orders = ref('orders') %}
with
{%- if is_incremental() %}
    -- Sheets are built whole.
    touched as (
        select person_key from {{ all_people }}
        where build_number > {{ built_until() }}
        union distinct
        select person_key from {{ all_links }}
        where source <> 'eventbrite'
        union distinct
        select links.person_key
        from {{ all_links }} as links
        inner join {{ orders }} as orders
            on links.source = orders.source and links.person_id = 'order-' || orders.order_id
        where orders.order_key in ({{ touched_orders() }})
    ),
{% endif %}

people as (
    select * from {{ all_people }}
    where
        is_customer
        {% if is_incremental() %} and person_key in (select person_key from touched) {% endif %}
),

-- Guests buy nothing.
links as (
    select * from {{ all_links }}
    where
        is_customer
        {% if is_incremental() %} and person_key in (select person_key from touched) {% endif %}
),

tickets as (
    select
        source,
        order_id,
        customer_id,
        event_key,
        is_valid,
        is_seat,
        case when {{ date_key('sold_date') }} <> -1 then sold_date end as sold_date
    from {{ ref('tickets') }}
    where status <> 'unpaid'
),

-- By event first: counting distinct events at once would cost twice as much.
bought_by_event as (
    select
        links.person_key,
        tickets.event_key,
        min(tickets.sold_date) as first_purchase_date,
        max(tickets.sold_date) as last_purchase_date,
        count(*) as tickets_bought,
        sum(case when tickets.is_valid and tickets.is_seat then 1 else 0 end) as tickets_sold
    from tickets
    inner join links on tickets.source = links.source and {{ buyer_id('tickets') }} = links.person_id
    group by links.person_key, tickets.event_key
),

bought as (
    select
        person_key,
        min(first_purchase_date) as first_purchase_date,
        max(last_purchase_date) as last_purchase_date,
        sum(tickets_bought) as tickets_bought,
        sum(tickets_sold) as tickets_sold,
        count(*) as events_bought
    from bought_by_event
    group by person_key
)

select
    people.customer_key,
    people.source,
    bought.first_purchase_date,
    bought.last_purchase_date,
    cast(coalesce(bought.tickets_bought, 0) as bigint) as tickets_bought,
    cast(coalesce(bought.tickets_sold, 0) as bigint) as tickets_sold,
    cast(coalesce(bought.events_bought, 0) as bigint) as events_bought
from people
left join bought on people.person_key = bought.person_key
{%- if is_incremental() %}
    -- Nobody is called so any more, or they are a guest by now.
    union all
    select
        held.customer_key,
        cast(null as {{ dbt.type_string() }}) as source,
        cast(null as date) as first_purchase_date,
        cast(null as date) as last_purchase_date,
        cast(null as bigint) as tickets_bought,
        cast(null as bigint) as tickets_sold,
        cast(null as bigint) as events_bought
    from {{ this }} as held
    left join {{ all_people }} as people on held.customer_key = people.customer_key and people.is_customer
    where people.customer_key is null
{%- endif %}
