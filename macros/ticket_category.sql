{# admission, add_on or donation. Only an admission is a seat; a class that says nothing is one. #}
{% macro ticket_category(category, is_donation) -%}
    case
        when coalesce({{ is_donation }}, false) or {{ category }} = 'donation' then 'donation'
        when {{ category }} = 'add_on' then 'add_on'
        else 'admission'
    end
{%- endmacro %}
