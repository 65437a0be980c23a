{# The text of a cell without surrounding blanks; null when nothing is left. #}
{% macro present(text) -%} nullif(trim({{ text }}), '') {%- endmacro %}
