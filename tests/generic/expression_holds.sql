{# Every row makes the expression true; null is a failure too, so say `x is null or ...` where it may be.
   Many truths are a list of expressions: still one query, and `broken` names the first one a row breaks. #}
{% test expression_holds(model, expression) %}
{%- set truths = [expression] if expression is string else expression %}
select
    case
        {%- for truth in truths %}
        when ({{ truth }}) is not true then '{{ truth | replace("'", "''") | replace("\n", " ") }}'
        {%- endfor %}
    end as broken,
    checked.*
from {{ model }} as checked
where
    {%- for truth in truths %}
    {% if not loop.first %}or {% endif %}({{ truth }}) is not true
    {%- endfor %}
{% endtest %}
