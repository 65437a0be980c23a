-- Grain: one row per order of an event that is mapped to CiviCRM. A view: it only picks and renames.
{{ config(materialized='view', access='protected') }}
with orders as (select * from {{ ref('stg_eventbrite__orders').include(database=false) }}),

events as (select * from {{ ref('int_eventbrite__mapped_events').include(database=false) }})

select
    orders.order_id,
    orders.event_id,
    events.event_name,
    events.civicrm_event,
    orders.gross_minor,
    orders.fees_minor,
    orders.changed_at,
    orders.is_paid_offline or orders.is_unpaid as is_offline
from orders
inner join events on orders.event_id = events.event_id
