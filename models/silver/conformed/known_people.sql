-- Grain: one row per order, attendee and customer of a sheet. Those with one `match_group` are one person:
-- same e-mail. An order or attendee without an e-mail tells of nobody and has none; a customer has an id of
-- their own.
{{ config(access='private', materialized='view') }}
with orders as (select * from {{ ref('stg_eventbrite__orders') }}),

attendees as (select * from {{ ref('stg_eventbrite__attendees') }}),

customers as (select * from {{ ref('stg_sheets__customers') }}),

left_out as (
    select * from {{ ref('int_sheets__left_out') }}
    where sheet = 'customers'
),

listed as (
    select
        'eventbrite' as source,
        'order-' || order_id as person_id,
        buyer_name as person_name,
        {{ email('buyer_email') }} as email,
        true as is_customer,
        build_number
    from orders
    union all
    select
        'eventbrite' as source,
        'attendee-' || ticket_id as person_id,
        attendee_name as person_name,
        {{ email('attendee_email') }} as email,
        false as is_customer,
        build_number
    from attendees
    union all
    select
        'sheets' as source,
        customers.customer_id as person_id,
        customers.customer_name as person_name,
        {{ email('customers.email') }} as email,
        true as is_customer,
        cast(null as bigint) as build_number
    from customers
    left join left_out on customers.record = left_out.record and customers.file = left_out.file
    where left_out.record is null
)

select
    source,
    person_id,
    email,
    is_customer,
    build_number,
    -- Eventbrite shows this where nobody has filled the form in yet.
    case when lower(person_name) <> 'info requested' then person_name end as person_name,
    -- No e-mail begins with a space.
    case when email is not null then email when source = 'sheets' then ' ' || person_id end as match_group
from listed
