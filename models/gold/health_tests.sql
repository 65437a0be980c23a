-- Grain: one row per test and run that ran it, of the last hundred such runs. A view, so that publishing
-- shows the run at work.
{{ config(materialized='view') }}
select
    run_id,
    test,
    table_name,
    severity,
    status,
    rows_failed
from {{ source('ops', 'tests').include(database=false) }}
