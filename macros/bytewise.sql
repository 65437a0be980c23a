{# Text in the order of its bytes, whatever the database's own collation is. #}
{% macro bytewise(text) -%} {{ return(adapter.dispatch('bytewise')(text)) }} {%- endmacro %}

{% macro default__bytewise(text) -%} {{ text }} {%- endmacro %}

{% macro postgres__bytewise(text) -%} {{ text }} collate "C" {%- endmacro %}
