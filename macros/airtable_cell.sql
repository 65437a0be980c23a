{# The cell of a record as JSON text; null when it is empty. The field's id is a column, not a constant. #}
{% macro airtable_cell(payload, field_id) -%}
    {{ return(adapter.dispatch('airtable_cell')(payload, field_id)) }}
{%- endmacro %}

{% macro duckdb__airtable_cell(payload, field_id) -%}
    cast(json_extract({{ payload }}, '$.fields.' || {{ field_id }}) as varchar)
{%- endmacro %}

{% macro postgres__airtable_cell(payload, field_id) -%}
    cast(cast({{ payload }} as jsonb) -> 'fields' -> {{ field_id }} as text)
{%- endmacro %}

{% macro spark__airtable_cell(payload, field_id) -%}
    get_json_object({{ payload }}, concat('$.fields.', {{ field_id }}))
{%- endmacro %}

{# The cell of a record as text: the names of a list joined by ", ", a collaborator's name, the text of a
   barcode, the value of an AI text. Null when it is empty and when it is something else: an error of a
   formula, an attachment. #}
{% macro airtable_text(payload, field_id) -%}
    {{ return(adapter.dispatch('airtable_text')(payload, field_id)) }}
{%- endmacro %}

{% macro duckdb__airtable_text(payload, field_id) -%}
    {%- set cell = "json_extract(" ~ payload ~ ", '$.fields.' || " ~ field_id ~ ")" -%}
    case json_type({{ cell }})
        when 'ARRAY' then
            case
                when not contains(cast({{ cell }} as varchar), '{{ "{" }}"')
                    then array_to_string(json_transform({{ cell }}, '["VARCHAR"]'), ', ')
            end
        when 'OBJECT' then coalesce({{ cell }} ->> '$.name', {{ cell }} ->> '$.text', {{ cell }} ->> '$.value')
        when 'NULL' then null
        else {{ cell }} ->> '$'
    end
{%- endmacro %}

{% macro postgres__airtable_text(payload, field_id) -%}
    {%- set cell = "(cast(" ~ payload ~ " as jsonb) -> 'fields' -> " ~ field_id ~ ")" -%}
    case jsonb_typeof({{ cell }})
        when 'array' then
            case
                when cast({{ cell }} as text) not like '%{{ "{" }}"%'
                    then (
                        select string_agg(element, ', ' order by place)
                        from jsonb_array_elements_text({{ cell }}) with ordinality as list (element, place)
                    )
            end
        when 'object' then coalesce({{ cell }} ->> 'name', {{ cell }} ->> 'text', {{ cell }} ->> 'value')
        when 'null' then null
        else {{ cell }} #>> '{}'
    end
{%- endmacro %}

{% macro spark__airtable_text(payload, field_id) -%}
    {%- set cell = airtable_cell(payload, field_id) -%}
    case
        when {{ cell }} like '%{{ "{" }}"%'
            then coalesce(
                get_json_object({{ cell }}, '$.name'),
                get_json_object({{ cell }}, '$.text'),
                get_json_object({{ cell }}, '$.value')
            )
        when {{ cell }} like '[%' then array_join(from_json({{ cell }}, 'array<string>'), ', ')
        else {{ cell }}
    end
{%- endmacro %}
