{# Minor units to an exact decimal in major units, by the currency's ISO 4217 exponent (2 when the currency
   is unknown). Multiplied, not divided: a division would go through floats. An amount past thirteen digits
   is no amount: null, so that it cannot overflow. #}
{% macro minor_to_major(minor, exponent) -%}
    cast(
        cast(case when abs({{ minor }}) < 10000000000000 then {{ minor }} end as decimal(13, 0))
        * cast(
            case coalesce({{ exponent }}, 2)
                when 0 then 1 when 1 then 0.1 when 2 then 0.01 when 3 then 0.001 when 4 then 0.0001
            end as decimal(5, 4)
        ) as {{ money_type() }}
    )
{%- endmacro %}
