-- Grain: one row per refund of a ticket; of an order where no ticket of it says that it was refunded.
-- Eventbrite lowers what an order and its attendees cost when it refunds. A lowering seen between two
-- versions is a refund of that version. What was lowered before the first version is told by the order's
-- refund requests alone.
{#- Large, and read for a few columns at a time: as a CTE all of those would be held at once. #}
{%- set attendees = ref('stg_eventbrite__attendees') %}
{%- set orders = ref('stg_eventbrite__orders') %}
with versions as (select * from {{ ref('stg_eventbrite__attendee_versions') }}),

order_versions as (select * from {{ ref('stg_eventbrite__order_versions') }}),

processed as (
    select
        order_id,
        amount_minor,
        processed_at,
        reason,
        row_number() over (
            partition by order_id
            order by processed_at, amount_minor, reason
        ) as item_number
    from {{ ref('stg_eventbrite__refund_requests') }}
    where status = 'processed' and amount_minor > 0 and processed_at is not null
),

-- Only a ticket with an earlier version or a processed request can have been refunded.
touched as (
    select ticket_id from versions
    union
    select attendees.ticket_id
    from {{ attendees }} as attendees
    inner join processed on attendees.order_id = processed.order_id
),

today as (
    select
        attendees.ticket_id,
        attendees.order_id,
        attendees.gross_minor,
        attendees.is_refunded,
        attendees.is_unpaid,
        attendees.changed_at,
        attendees.landed_at
    from {{ attendees }} as attendees
    inner join touched on attendees.ticket_id = touched.ticket_id
    left join {{ orders }} as orders on attendees.order_id = orders.order_id
    where not attendees.is_unpaid and not coalesce(orders.is_unpaid, false)
),

lineage as (
    select
        versions.ticket_id,
        today.order_id,
        versions.gross_minor,
        versions.is_refunded,
        versions.is_unpaid,
        versions.changed_at,
        versions.landed_at,
        0 as is_today
    from versions
    inner join today on versions.ticket_id = today.ticket_id
    union all
    select
        ticket_id,
        order_id,
        gross_minor,
        is_refunded,
        is_unpaid,
        changed_at,
        landed_at,
        1 as is_today
    from today
),

counted as (
    select
        lineage.*,
        sum(case when is_unpaid then 0 else 1 end) over (
            partition by ticket_id
            order by is_today, changed_at, landed_at
            rows between unbounded preceding and current row
        ) as paid_so_far
    from lineage
),

numbered as (
    select
        counted.*,
        row_number() over (
            partition by ticket_id
            order by is_today, changed_at, landed_at
        ) as version_number
    from counted
    where paid_so_far > 0
),

firsts as (
    select
        ticket_id,
        order_id,
        is_refunded,
        changed_at,
        gross_minor
    from numbered
    where version_number = 1
),

-- What was left of the price at each version. A lowering that was taken back later is no refund, hence the
-- highest of what follows; a price never counts above the first or today's.
remaining as (
    select
        numbered.ticket_id,
        numbered.order_id,
        numbered.version_number,
        numbered.changed_at,
        least(
            max(numbered.gross_minor) over (
                partition by numbered.ticket_id
                order by numbered.version_number
                rows between current row and unbounded following
            ),
            greatest(firsts.gross_minor, today.gross_minor)
        ) as remaining_minor
    from numbered
    inner join firsts on numbered.ticket_id = firsts.ticket_id
    inner join today on numbered.ticket_id = today.ticket_id
),

steps as (
    select
        ticket_id,
        order_id,
        version_number,
        changed_at,
        remaining_minor,
        lag(changed_at) over (partition by ticket_id order by version_number) as previous_changed_at,
        lag(remaining_minor) over (partition by ticket_id order by version_number) as previous_remaining_minor
    from remaining
),

lowered as (
    select
        steps.ticket_id,
        steps.order_id,
        steps.version_number,
        steps.changed_at,
        steps.previous_remaining_minor - steps.remaining_minor as amount_minor,
        max(processed.processed_at) as processed_at,
        max(processed.reason) as reason
    from steps
    left join processed
        on
            steps.order_id = processed.order_id
            and processed.processed_at > steps.previous_changed_at
            and processed.processed_at <= steps.changed_at
    where steps.previous_remaining_minor > steps.remaining_minor
    group by
        steps.ticket_id,
        steps.order_id,
        steps.version_number,
        steps.changed_at,
        steps.previous_remaining_minor,
        steps.remaining_minor
),

-- The lowest ids first: ids are digits, so a shorter one is lower.
first_refunded as (
    select
        ticket_id,
        order_id,
        changed_at,
        row_number() over (partition by order_id order by length(ticket_id), ticket_id) as place
    from firsts
    where is_refunded
),

sharing_orders as (
    select
        order_id,
        count(*) as tickets_refunded,
        max(changed_at) as first_seen_at
    from first_refunded
    group by order_id
),

shares as (
    select
        first_refunded.ticket_id,
        processed.order_id,
        processed.item_number,
        processed.processed_at,
        processed.reason,
        {{ whole_division('processed.amount_minor', 'sharing_orders.tickets_refunded') }}
        + case
            when first_refunded.place <= mod(processed.amount_minor, sharing_orders.tickets_refunded) then 1
            else 0
        end as amount_minor
    from processed
    inner join sharing_orders on processed.order_id = sharing_orders.order_id
    inner join first_refunded on processed.order_id = first_refunded.order_id
    where processed.processed_at <= sharing_orders.first_seen_at
),

-- Seen lowered from the start, and no ticket to give it to.
unshared as (
    select
        processed.order_id,
        processed.item_number,
        processed.processed_at,
        processed.reason,
        processed.amount_minor
    from processed
    inner join {{ orders }} as orders on processed.order_id = orders.order_id
    left join order_versions
        on processed.order_id = order_versions.order_id and order_versions.is_first_paid
    left join sharing_orders on processed.order_id = sharing_orders.order_id
    where
        not orders.is_unpaid
        and sharing_orders.order_id is null
        and processed.processed_at <= coalesce(order_versions.changed_at, orders.changed_at)
)

select
    ticket_id || '-request-' || cast(item_number as {{ dbt.type_string() }}) as refund_id,
    order_id,
    ticket_id,
    amount_minor,
    processed_at as refunded_at,
    reason,
    'request' as basis
from shares
where amount_minor > 0
union all
select
    ticket_id || '-version-' || cast(version_number as {{ dbt.type_string() }}) as refund_id,
    order_id,
    ticket_id,
    amount_minor,
    coalesce(processed_at, changed_at) as refunded_at,
    reason,
    'version' as basis
from lowered
union all
select
    'order-' || order_id || '-request-' || cast(item_number as {{ dbt.type_string() }}) as refund_id,
    order_id,
    cast(null as {{ dbt.type_string() }}) as ticket_id,
    amount_minor,
    processed_at as refunded_at,
    reason,
    'request' as basis
from unshared
