{# An e-mail as it is compared: trimmed, lower case; null for what is none. #}
{% macro email(text) -%} {{ return(adapter.dispatch('email')(text)) }} {%- endmacro %}

{% macro default__email(text) -%}
    case
        when trim(both ' ' from {{ text }}) like '_%@_%' and trim(both ' ' from {{ text }}) not like '% %'
            then lower(trim(both ' ' from {{ text }}))
    end
{%- endmacro %}

{% macro postgres__email(text) -%}
    case
        when trim(both ' ' from {{ text }}) like '_%@_%' and trim(both ' ' from {{ text }}) not like '% %'
            then lower(trim(both ' ' from {{ text }}) collate "pg_c_utf8") collate "default"
    end
{%- endmacro %}
