{# The key of a day in dim_date, yyyymmdd; -1, its member without a date, for a day that is absent or
   outside 1990 to 2100. #}
{% macro date_key(day) -%}
    case
        when {{ day }} between cast('1990-01-01' as date) and cast('2100-12-31' as date)
            then cast(
                extract(year from {{ day }}) * 10000
                + extract(month from {{ day }}) * 100
                + extract(day from {{ day }})
                as integer
            )
        else -1
    end
{%- endmacro %}
