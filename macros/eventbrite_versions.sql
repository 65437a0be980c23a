{# The earlier versions of the objects that a staging model holds. The version of today is there, and not read
   twice. objects: orders or attendees; key: what the staging model calls their ids. #}
{% macro eventbrite_versions(current, objects, key) -%}
{%- if is_incremental() %}
    {%- set renewed = 'select ' ~ key ~ ' from ' ~ current ~ ' where build_number > ' ~ built_until() %}
{%- endif %}
{%- set paths = eventbrite_cost_paths() -%}
{%- do paths.update({'status': 'text', 'refunded': 'boolean'}) %}
with today as (
    select
        id,
        payload_hash
    from {{ source('eventbrite', objects) }}
    {% if is_incremental() %} where id in ({{ renewed }}) {% endif %}
),

history as (
    select * from {{ source('eventbrite', objects ~ '_history') }}
    {% if is_incremental() %} where id in ({{ renewed }}) {% endif %}
),

-- Told by hashes, so that no version of today's is parsed.
source as (
    select
        id,
        changed,
        landed_at,
        payload_hash,
        {{ json_parsed('payload', paths) }} as parsed
    from history
    where
        not exists (
            select 1
            from today
            where today.id = history.id and today.payload_hash = history.payload_hash
        )
),

versions as (
    select
        -- keys
        id as {{ key }},

        -- measures
        {{ eventbrite_costs('parsed') }},

        -- flags
        {{ json_boolean('parsed', 'refunded') }} as is_refunded,
        {{ eventbrite_unpaid('lower(' ~ json_text('parsed', 'status') ~ ')') }} as is_unpaid,

        -- times
        changed as changed_at,
        landed_at,

        -- what tells one from another
        payload_hash
    from source
)

select
    {{ key }},
    gross_minor,
    fees_minor,
    tax_minor,
    currency,
    is_refunded,
    is_unpaid,
    changed_at,
    landed_at,
    payload_hash,
    {{ this_build() }} as build_number,
    not is_unpaid and row_number() over (
        partition by {{ key }}
        order by is_unpaid, changed_at, landed_at
    ) = 1 as is_first_paid
from versions
{%- endmacro %}
