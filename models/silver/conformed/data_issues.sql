-- Grain: one row per problem of a record, cell or object.
with left_out as (select * from {{ ref('int_sheets__left_out') }})

select
    'sheets' as source,
    sheet as table_name,
    file,
    line,
    record_key,
    cast(null as {{ dbt.type_string() }}) as column_name,
    cast(null as {{ dbt.type_string() }}) as value,
    reason,
    'left_out' as severity
from left_out
