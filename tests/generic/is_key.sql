{# One row per value of the columns, none of them null but those named in `nullable`.
   On a column it needs no argument; on a model it takes `columns`. #}
{% test is_key(model, column_name=none, columns=none, nullable=[]) %}
{%- set keys = columns or [column_name] %}
{%- set listed = keys | join(', ') %}
select
    {{ keys | join(',\n    ') }},
    count(*) as row_count
from {{ model }}
{%- if target.type == 'duckdb' %}
-- Numbers are grouped in half the time of texts. Only keys that share one are looked at as they are.
where hash({{ listed }}) in (select hash({{ listed }}) as hashed from {{ model }} group by hashed having count(*) > 1)
{%- endif %}
group by {{ listed }}
having count(*) > 1
{%- for key in keys if key not in nullable %}
union all
select
    {{ keys | join(',\n    ') }},
    1 as row_count
from {{ model }}
where {{ key }} is null
{%- endfor %}
{% endtest %}
