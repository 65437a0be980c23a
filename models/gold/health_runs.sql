-- Grain: one row per command that ran. A view, so that publishing shows the run at work.
{{ config(materialized='view') }}
select
    run_id,
    command,
    as_of,
    is_sandbox,
    started_at,
    ended_at,
    seconds,
    status,
    exit_code
from {{ source('ops', 'runs').include(database=false) }}
