-- Grain: one row per sheet record that silver leaves out: without a key, or with a key that a later record
-- has too.
{{ config(materialized='table') }}
{%- set keys = {
    'artists': 'artist_id',
    'venues': 'venue_id',
    'events': 'event_id',
    'customers': 'customer_id',
    'tickets': 'ticket_id',
    'checkins': 'checkin_id',
    'refunds': 'refund_id',
    'campaigns': 'campaign_id',
} %}
{%- for sheet, key in keys.items() %}
    {{ 'with ' if loop.first }}{{ sheet }}_duplicated as (
        select
            {{ key }} as record_key,
            max(record) as last_record
        from {{ ref('stg_sheets__' ~ sheet) }}
        group by {{ key }}
        having count(*) > 1
    ){{ ',' if not loop.last }}
{%- endfor %}
{% for sheet, key in keys.items() %}
    select
        '{{ sheet }}' as sheet,
        records.file,
        records.record,
        records.line,
        records.{{ key }} as record_key,
        'duplicate key' as reason
    from {{ ref('stg_sheets__' ~ sheet) }} as records
    inner join {{ sheet }}_duplicated as duplicated on records.{{ key }} = duplicated.record_key
    where records.record < duplicated.last_record
    union all
    select
        '{{ sheet }}' as sheet,
        file,
        record,
        line,
        {{ key }} as record_key,
        'no key' as reason
    from {{ ref('stg_sheets__' ~ sheet) }}
    where {{ key }} is null
    {{ 'union all' if not loop.last }}
{%- endfor %}
