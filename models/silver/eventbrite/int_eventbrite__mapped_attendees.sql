-- Grain: one row per attendee of an event that is mapped to CiviCRM, with what only CiviCRM is told of: where
-- to reach them. Nobody pays for reading that of the others.
{{ config(access='protected') }}
{%- do renews_by('ticket_id', gone='payload_hash is null') %}
{%- set attendees = source('eventbrite', 'attendees') %}
{%- set paths = {
    'profile.name': 'text',
    'profile.first_name': 'text',
    'profile.last_name': 'text',
    'profile.email': 'text',
    'profile.work_phone': 'text',
    'profile.addresses.bill.address_1': 'text',
    'profile.addresses.bill.address_2': 'text',
    'profile.addresses.bill.city': 'text',
    'profile.addresses.bill.region': 'text',
    'profile.addresses.bill.postal_code': 'text',
    'profile.addresses.bill.country': 'text',
} %}
with source as (
    select
        objects.id,
        {{ json_parsed('objects.payload', paths) }} as parsed
    from {{ attendees }} as objects
    {% if is_incremental() %}
        left join {{ this }} as held on objects.id = held.ticket_id
    {% endif %}
    where
        objects.event_id in (select event_id from {{ ref('int_eventbrite__mapped_events') }})
        {% if is_incremental() %}
            and (
                held.ticket_id is null
                or held.payload_hash <> objects.payload_hash
                or held.is_gone <> (objects.missing_since is not null)
            )
        {% endif %}
),

profiles as (
    select
        id,
        -- Eventbrite may split its placeholder into a first and a last name.
        lower({{ json_text('parsed', 'profile.name') }}) like '%info requested%' as is_nameless,
        {{ filled_in(json_text('parsed', 'profile.name')) }} as full_name,
        {{ filled_in(json_text('parsed', 'profile.first_name')) }} as first_name,
        {{ filled_in(json_text('parsed', 'profile.last_name')) }} as last_name,
        {{ filled_in(json_text('parsed', 'profile.email')) }} as email,
        {{ filled_in(json_text('parsed', 'profile.work_phone')) }} as work_phone,
        {{ filled_in(json_text('parsed', 'profile.addresses.bill.address_1')) }} as address_1,
        {{ filled_in(json_text('parsed', 'profile.addresses.bill.address_2')) }} as address_2,
        {{ filled_in(json_text('parsed', 'profile.addresses.bill.city')) }} as city,
        {{ filled_in(json_text('parsed', 'profile.addresses.bill.region')) }} as region,
        {{ filled_in(json_text('parsed', 'profile.addresses.bill.postal_code')) }} as postal_code,
        upper({{ filled_in(json_text('parsed', 'profile.addresses.bill.country')) }}) as country
    from source
),

attendees as (select * from {{ ref('stg_eventbrite__attendees') }})

select
    -- keys
    attendees.ticket_id,
    attendees.order_id,
    attendees.event_id,
    attendees.ticket_class_id,

    -- people
    case
        when coalesce(profiles.is_nameless, false) then null
        when profiles.first_name is null and profiles.last_name is null then profiles.full_name
        else profiles.first_name
    end as first_name,
    case when not coalesce(profiles.is_nameless, false) then profiles.last_name end as last_name,
    profiles.email,
    profiles.work_phone,
    profiles.address_1,
    profiles.address_2,
    profiles.city,
    profiles.region,
    profiles.postal_code,
    profiles.country,

    -- measures
    attendees.gross_minor,
    attendees.fees_minor,

    -- flags
    attendees.is_checked_in or coalesce(attendees.status, '') = 'checked in' as is_checked_in,
    attendees.is_missing as is_gone,

    -- times
    attendees.created_at,
    attendees.changed_at,

    -- what tells a change
    attendees.payload_hash,
    {{ this_build() }} as build_number
from profiles
inner join attendees on profiles.id = attendees.ticket_id
{%- if is_incremental() %}
    -- Those of events that are mapped no more.
    union all
    select
        held.ticket_id,
        cast(null as {{ dbt.type_string() }}) as order_id,
        cast(null as {{ dbt.type_string() }}) as event_id,
        cast(null as {{ dbt.type_string() }}) as ticket_class_id,
        cast(null as {{ dbt.type_string() }}) as first_name,
        cast(null as {{ dbt.type_string() }}) as last_name,
        cast(null as {{ dbt.type_string() }}) as email,
        cast(null as {{ dbt.type_string() }}) as work_phone,
        cast(null as {{ dbt.type_string() }}) as address_1,
        cast(null as {{ dbt.type_string() }}) as address_2,
        cast(null as {{ dbt.type_string() }}) as city,
        cast(null as {{ dbt.type_string() }}) as region,
        cast(null as {{ dbt.type_string() }}) as postal_code,
        cast(null as {{ dbt.type_string() }}) as country,
        cast(null as bigint) as gross_minor,
        cast(null as bigint) as fees_minor,
        cast(null as boolean) as is_checked_in,
        cast(null as boolean) as is_gone,
        cast(null as timestamp) as created_at,
        cast(null as timestamp) as changed_at,
        cast(null as {{ dbt.type_string() }}) as payload_hash,
        cast(null as bigint) as build_number
    from {{ this }} as held
    where
        not exists (
            select 1
            from {{ attendees }} as objects
            where
                objects.id = held.ticket_id
                and objects.event_id in (select event_id from {{ ref('int_eventbrite__mapped_events') }})
        )
{%- endif %}
