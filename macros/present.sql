{# The text of a cell without surrounding blanks; null when nothing is left. Few cells have any, so only
   those pay for the trimming. #}
{% macro present(text) -%}
    case
        when {{ text }} = '' then null
        when {{ text }} like ' %' or {{ text }} like '% ' then nullif(trim(both ' ' from {{ text }}), '')
        else {{ text }}
    end
{%- endmacro %}
