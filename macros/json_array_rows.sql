{# In a select list: one row per element of a JSON list, each element as JSON text. A lone object counts as
   a list of one; anything else makes no row. The one place where rows are made of a list. #}
{% macro json_array_rows(column) -%} {{ return(adapter.dispatch('json_array_rows')(column)) }} {%- endmacro %}

{% macro duckdb__json_array_rows(column) -%}
    unnest(
        case case when json_valid({{ column }}) then json_type({{ column }}) end
            when 'ARRAY' then cast(json_extract({{ column }}, '$[*]') as varchar[])
            when 'OBJECT' then [{{ column }}]
        end
    )
{%- endmacro %}

{% macro postgres__json_array_rows(column) -%}
    cast(
        jsonb_array_elements(
            case
                case when pg_input_is_valid({{ column }}, 'jsonb') then jsonb_typeof(cast({{ column }} as jsonb)) end
                when 'array' then cast({{ column }} as jsonb)
                when 'object' then jsonb_build_array(cast({{ column }} as jsonb))
            end
        ) as text
    )
{%- endmacro %}

{% macro spark__json_array_rows(column) -%}
    explode(
        case
            when {{ column }} like '[%' then from_json({{ column }}, 'array<string>')
            when {{ column }} like '{{ "{%" }}' then array({{ column }})
        end
    )
{%- endmacro %}
