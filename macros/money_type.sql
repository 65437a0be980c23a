{# Money in major units: four decimals hold every ISO 4217 currency, eighteen digits fit one machine word.
   #}
{% macro money_type() -%} decimal(18, 4) {%- endmacro %}
