-- Grain: one row per table of a source that was ever read. Of several organizations the stalest counts.
{{ config(materialized='view') }}
with reads as (
    select
        'eventbrite' as source,
        listing as table_name,
        min(listed_at) as landed_at
    from {{ source('eventbrite', 'listings').include(database=false) }}
    group by listing
    union all
    select
        'airtable' as source,
        table_id as table_name,
        min(listed_at) as landed_at
    from {{ source('airtable', 'listings').include(database=false) }}
    group by table_id
    union all
    select
        'sheets' as source,
        sheet as table_name,
        max(loaded_at) as landed_at
    from {{ source('sheets', 'files').include(database=false) }}
    group by sheet
),

steps as (
    select
        steps.step as source,
        max(runs.as_of) as source_read_at
    from {{ source('ops', 'steps').include(database=false) }} as steps
    inner join {{ source('ops', 'runs').include(database=false) }} as runs on steps.run_id = runs.run_id
    -- A listener reads what notices name, and not the source.
    where steps.status in ('ok', 'partial') and runs.command <> 'listen'
    group by steps.step
)

select
    reads.source,
    reads.table_name,
    reads.landed_at,
    steps.source_read_at
from reads
left join steps on reads.source = steps.source
