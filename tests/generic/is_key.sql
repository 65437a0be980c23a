{# One row per value of the columns, none of them null but those named in `nullable`, in one query.
   On a column it needs no argument; on a model it takes `columns`. #}
{% test is_key(model, column_name=none, columns=none, nullable=[]) %}
{%- set keys = columns or [column_name] %}
select
    {{ keys | join(',\n    ') }},
    count(*) as row_count
from {{ model }}
group by {{ keys | join(', ') }}
having
    count(*) > 1
    {%- for key in keys if key not in nullable %}
    or {{ key }} is null
    {%- endfor %}
{% endtest %}
