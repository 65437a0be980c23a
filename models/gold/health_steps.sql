-- Grain: one row per step of a run. A view, so that publishing shows the run at work.
{{ config(materialized='view') }}
select
    run_id,
    position,
    step,
    status,
    rows_read,
    rows_changed,
    rows_rejected,
    seconds,
    requests
from {{ source('ops', 'steps').include(database=false) }}
