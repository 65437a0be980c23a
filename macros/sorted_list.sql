{# The texts of a group in the order of their bytes, with a comma between them; null when there are none. #}
{% macro sorted_list(text) -%} {{ return(adapter.dispatch('sorted_list')(text)) }} {%- endmacro %}

{% macro default__sorted_list(text) -%}
    string_agg({{ text }}, ', ' order by {{ bytewise(text) }})
{%- endmacro %}

{% macro spark__sorted_list(text) -%} nullif(array_join(sort_array(collect_list({{ text }})), ', '), '') {%- endmacro %}
