-- Grain: one row per record, role of its table and column mapped in that role; `value` is null where the
-- cell is empty. Records that boxoffice wrote are no source.
with records as (
    select
        table_id,
        id,
        payload
    from {{ source('airtable', 'records') }}
    where missing_since is null
),

mappings as (select * from {{ source('airtable', 'mappings') }}),

written as (select * from {{ source('ops', 'airtable_keys') }}),

timezones as (
    select name from {{ known_timezones() }}
),

cells as (
    select
        records.id as record_id,
        mappings.role,
        mappings.column_name,
        coalesce(timezones.name, 'UTC') as timezone,
        {{ airtable_cell('records.payload', 'mappings.field_id') }} as raw,
        {{ airtable_text('records.payload', 'mappings.field_id') }} as text_value
    from records
    inner join mappings on records.table_id = mappings.table_id
    left join written on records.table_id = written.table_id and records.id = written.record_id
    left join timezones on mappings.timezone = timezones.name
    where written.record_id is null
)

select
    record_id,
    role,
    column_name,
    timezone,
    raw,
    {{ present('text_value') }} as value,
    raw is not null and text_value is null as is_unreadable
from cells
