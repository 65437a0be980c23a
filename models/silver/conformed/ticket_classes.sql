-- Grain: one row per ticket class. Sheets have none.
with classes as (select * from {{ ref('stg_eventbrite__ticket_classes') }}),

series as (
    select event_id from {{ ref('stg_eventbrite__events') }}
    where is_series_parent
),

events as (select * from {{ ref('known_events') }}),

currencies as (select * from {{ ref('currencies') }})

select
    'eventbrite-' || classes.ticket_class_id as ticket_class_key,
    coalesce(events.event_key, 'eventbrite-unknown') as event_key,
    classes.ticket_class_id,
    classes.ticket_class_name,
    {{ ticket_category('classes.category', 'classes.is_donation') }} as category,
    coalesce(nullif(classes.capacity, 0), nullif(classes.quantity_total, 0)) as capacity,
    coalesce(classes.capacity, 0) = 0 and coalesce(classes.quantity_total, 0) = 0 as is_unlimited,
    classes.is_free,
    {{ minor_to_major('coalesce(classes.price_minor, 0)', 'currencies.exponent') }} as price_amount,
    coalesce(classes.currency, events.currency) as currency,
    classes.is_missing as is_deleted
from classes
left join events on 'eventbrite-' || classes.event_id = events.event_key
left join currencies on coalesce(classes.currency, events.currency) = currencies.currency
left join series on classes.event_id = series.event_id
-- A series parent sells nothing itself: its dates have classes of their own.
where series.event_id is null
