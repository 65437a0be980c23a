-- Grain: one row per event; and one `unknown` per source, only while some row belongs to no event we know.
with known as (select * from {{ ref('known_events') }}),

orphans as (
    select event_key from {{ ref('tickets') }}
    where event_key in ('eventbrite-unknown', 'sheets-unknown')
    union
    select event_key from {{ ref('order_items') }}
    where event_key in ('eventbrite-unknown', 'sheets-unknown')
    union
    select event_key from {{ ref('orders') }}
    where event_key in ('eventbrite-unknown', 'sheets-unknown')
    union
    select event_key from {{ ref('refunds') }}
    where event_key in ('eventbrite-unknown', 'sheets-unknown')
    union
    select event_key from {{ ref('checkins') }}
    where event_key in ('eventbrite-unknown', 'sheets-unknown')
    union
    select event_key from {{ ref('campaigns') }}
    where event_key in ('eventbrite-unknown', 'sheets-unknown', 'airtable-unknown')
    union
    select event_key from {{ ref('ticket_classes') }}
    where event_key in ('eventbrite-unknown', 'sheets-unknown')
)

select * from known
union all
select
    event_key,
    replace(event_key, '-unknown', '') as source,
    'unknown' as event_id,
    'unknown' as event_name,
    cast(null as {{ dbt.type_string() }}) as organization_id,
    cast(null as {{ dbt.type_string() }}) as series_id,
    cast(null as {{ dbt.type_string() }}) as artist_key,
    cast(null as {{ dbt.type_string() }}) as artist_id,
    cast(null as {{ dbt.type_string() }}) as venue_key,
    cast(null as {{ dbt.type_string() }}) as venue_id,
    'unknown' as status,
    false as is_cancelled,
    false as is_deleted,
    cast(null as date) as event_date,
    cast(null as timestamp) as starts_at,
    cast(null as timestamp) as starts_local,
    cast(null as timestamp) as ends_at,
    cast(null as {{ dbt.type_string() }}) as timezone,
    false as has_ended,
    cast(null as {{ dbt.type_string() }}) as currency,
    cast(null as bigint) as stated_capacity,
    false as is_online
from orphans
