-- Grain: one row per order; where we have none, as for a ticket of a sheet, per ticket. A checkout that was
-- begun and not ended is no sale; a deleted order stays while its money is in the sums.
-- depends_on: {{ ref('int_eventbrite__bare_orders') }}
{%- do renews_by('ticket_sale_key', gone='status is null') %}
with
{%- if is_incremental() %}
    touched_tickets as (
        select
            ticket_key,
            order_key
        from {{ ref('tickets') }}
        where build_number > {{ built_until() }}
    ),

    touched_orders as (
        select order_key from ({{ touched_orders() }})
    ),
{% endif %}

orders as (
    select * from {{ ref('orders') }}
    where
        source in ({{ synced_sources('airtable') }})
        {% if is_incremental() %}
            and order_key in (select order_key from touched_orders)
        {% endif %}
),

tickets as (
    select * from {{ ref('tickets') }}
    where
        source in ({{ synced_sources('airtable') }})
        {% if is_incremental() %}
            and (
                source <> 'eventbrite'
                or ticket_key in (select ticket_key from touched_tickets)
                or order_key in (select order_key from touched_orders)
            )
        {% endif %}
),

order_items as (select * from {{ ref('order_items') }}),

person_links as (select * from {{ ref('person_links') }}),

people as (select * from {{ ref('people') }}),

-- Whose order has not landed, or who has none, is a sale by itself.
placed as (
    select
        tickets.*,
        orders.order_key is null as is_alone,
        coalesce(orders.order_key, 'ticket-' || tickets.ticket_key) as ticket_sale_key,
        coalesce(tickets.ticket_class_name, 'Ticket') as ticket_type
    from tickets
    left join orders on tickets.order_key = orders.order_key
),

sales as (
    select
        order_key as ticket_sale_key,
        order_id,
        nullif(event_key, source || '-unknown') as event_key,
        ordered_at,
        status,
        is_paid,
        buyer_name,
        buyer_email,
        currency
    from orders
    where coalesce(status, '') not in ('started', 'abandoned')
    union all
    select
        placed.ticket_sale_key,
        placed.ticket_id as order_id,
        nullif(placed.event_key, placed.source || '-unknown') as event_key,
        placed.sold_at as ordered_at,
        placed.status,
        placed.status <> 'unpaid' as is_paid,
        people.person_name as buyer_name,
        people.email as buyer_email,
        placed.currency
    from placed
    left join person_links
        on placed.source = person_links.source and {{ buyer_id('placed') }} = person_links.person_id
    left join people on person_links.person_key = people.person_key
    where placed.is_alone
),

typed as (
    select
        ticket_sale_key,
        ticket_type || ' × ' || cast(count(*) as {{ dbt.type_string() }}) as ticket_type
    from placed
    group by ticket_sale_key, ticket_type
),

types as (
    select
        ticket_sale_key,
        {{ sorted_list('ticket_type') }} as ticket_types
    from typed
    group by ticket_sale_key
),

counts as (
    select
        ticket_sale_key,
        sum(case when is_valid and is_seat then 1 else 0 end) as ticket_count,
        sum(case when is_valid then 1 else 0 end) as tickets_valid,
        -- What became of all of them alike.
        case when min(status) = max(status) then min(status) end as status
    from placed
    group by ticket_sale_key
),

entries as (
    select
        ticket_sale_key,
        currency,
        gross_amount,
        refunds_amount,
        fees_amount,
        tax_amount
    from placed
    union all
    select
        order_key as ticket_sale_key,
        currency,
        gross_amount,
        refunds_amount,
        fees_amount,
        tax_amount
    from order_items
),

money as (
    select
        sales.ticket_sale_key,
        {{ money('coalesce(sum(entries.gross_amount), 0)') }} as gross_amount,
        {{ money('coalesce(sum(entries.refunds_amount), 0)') }} as refunds_amount,
        {{ money('coalesce(sum(entries.fees_amount), 0)') }} as fees_amount,
        {{ money('coalesce(sum(entries.tax_amount), 0)') }} as tax_amount
    from sales
    left join entries
        on
            sales.ticket_sale_key = entries.ticket_sale_key
            and coalesce(sales.currency, '') = coalesce(entries.currency, '')
    group by sales.ticket_sale_key
),

told as (
    select
        sales.ticket_sale_key,
        sales.order_id,
        sales.event_key,
        sales.ordered_at,
        sales.buyer_name,
        sales.buyer_email,
        sales.currency,
        types.ticket_types,
        cast(coalesce(counts.ticket_count, 0) as bigint) as ticket_count,
        money.gross_amount,
        money.refunds_amount,
        money.fees_amount,
        money.tax_amount,
        case
            when sales.status = 'deleted' then 'deleted'
            when not sales.is_paid then 'unpaid'
            when money.refunds_amount > 0 and money.refunds_amount >= money.gross_amount then 'refunded'
            when counts.tickets_valid = 0 then coalesce(counts.status, 'cancelled')
            when counts.tickets_valid is null and sales.status in ('cancelled', 'canceled') then 'cancelled'
            when counts.tickets_valid is null and sales.status = 'refunded' then 'refunded'
            when money.refunds_amount > 0 then 'partly refunded'
            else 'placed'
        end as outcome
    from sales
    inner join money on sales.ticket_sale_key = money.ticket_sale_key
    left join types on sales.ticket_sale_key = types.ticket_sale_key
    left join counts on sales.ticket_sale_key = counts.ticket_sale_key
),

worth_a_row as (
    select * from told
    where outcome <> 'deleted' or gross_amount <> 0 or refunds_amount <> 0
)

select
    -- who bought what
    order_id,
    event_key,
    buyer_name,
    buyer_email,
    ticket_count,
    ticket_types,
    outcome as status,
    ordered_at,

    -- money
    gross_amount,
    refunds_amount,
    fees_amount,
    tax_amount,
    {{ money('gross_amount - refunds_amount - fees_amount - tax_amount') }} as net_amount,
    currency,

    -- keys
    ticket_sale_key
from worth_a_row
{%- if is_incremental() %}
    -- Sales that are none any more: of a touched order or ticket, or of a sheet.
    union all
    select
        cast(null as {{ dbt.type_string() }}) as order_id,
        cast(null as {{ dbt.type_string() }}) as event_key,
        cast(null as {{ dbt.type_string() }}) as buyer_name,
        cast(null as {{ dbt.type_string() }}) as buyer_email,
        cast(null as bigint) as ticket_count,
        cast(null as {{ dbt.type_string() }}) as ticket_types,
        cast(null as {{ dbt.type_string() }}) as status,
        cast(null as timestamp) as ordered_at,
        cast(null as {{ money_type() }}) as gross_amount,
        cast(null as {{ money_type() }}) as refunds_amount,
        cast(null as {{ money_type() }}) as fees_amount,
        cast(null as {{ money_type() }}) as tax_amount,
        cast(null as {{ money_type() }}) as net_amount,
        cast(null as {{ dbt.type_string() }}) as currency,
        held.ticket_sale_key
    from {{ this }} as held
    where
        (
            held.ticket_sale_key not like '%eventbrite-%'
            or held.ticket_sale_key in (select order_key from touched_orders)
            or held.ticket_sale_key in (select 'ticket-' || ticket_key from touched_tickets)
        )
        and held.ticket_sale_key not in (select ticket_sale_key from worth_a_row)
{%- endif %}
