-- Grain: one row per kind of problem in `silver.data_issues`. A view: publishing counts what is there.
{{ config(materialized='view') }}
select
    source,
    table_name,
    column_name,
    reason,
    severity,
    count(*) as issues
from {{ ref('data_issues').include(database=false) }}
group by source, table_name, column_name, reason, severity
