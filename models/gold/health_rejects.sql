-- Grain: one row per sheet and reason for which the loader refused records.
{{ config(materialized='view') }}
select
    'sheets' as source,
    sheet as table_name,
    reason,
    count(*) as rows_rejected
from {{ source('sheets', 'rejects').include(database=false) }}
group by sheet, reason
