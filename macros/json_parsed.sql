{# A JSON text read once: the paths wanted of it, each 'text', 'integer' or 'boolean', to be addressed by json_text,
   json_integer and json_boolean. A step that is a number is a place in a list, from 0. DuckDB and Spark make a
   struct of just these paths, Postgres keeps the document. #}
{% macro json_parsed(column, paths) -%} {{ return(adapter.dispatch('json_parsed')(column, paths)) }} {%- endmacro %}

{% macro duckdb__json_parsed(column, paths) -%}
    {%- set types = {'text': '"VARCHAR"', 'integer': '"BIGINT"', 'boolean': '"BOOLEAN"'} -%}
    json_transform({{ column }}, '{{ json_shape(json_tree(paths), types, "{", ":", "}", "[", "]", '"') }}')
{%- endmacro %}

{% macro postgres__json_parsed(column, paths) -%} cast({{ column }} as jsonb) {%- endmacro %}

{% macro spark__json_parsed(column, paths) -%}
    {%- set types = {'text': 'string', 'integer': 'bigint', 'boolean': 'boolean'} -%}
    from_json({{ column }}, '{{ json_shape(json_tree(paths), types, "struct<", ":", ">", "array<", ">", "`") }}')
{%- endmacro %}

{# {'a.b': 'text', 'a.0': 'text'} as {'a': {'b': 'text', '0': 'text'}}. #}
{% macro json_tree(paths) -%}
    {%- set tree = {} -%}
    {%- for path, type in paths.items() -%}
        {%- set steps = path.split('.') -%}
        {%- set here = namespace(node=tree) -%}
        {%- for step in steps[:-1] -%}
            {%- if step not in here.node -%} {%- do here.node.update({step: {}}) -%} {%- endif -%}
            {%- set here.node = here.node[step] -%}
        {%- endfor -%}
        {%- do here.node.update({steps[-1]: type}) -%}
    {%- endfor -%}
    {{ return(tree) }}
{%- endmacro %}

{% macro json_shape(node, types, opens, names, closes, opens_list, closes_list, quote) -%}
    {%- if node is string -%} {{ types[node] }}
    {%- elif '0' in node -%}
        {{ opens_list }}{{ json_shape(node['0'], types, opens, names, closes, opens_list, closes_list, quote) }}{{ closes_list }}
    {%- else -%}
        {{ opens }}
        {%- for step, below in node.items() -%}
            {{ quote }}{{ step }}{{ quote }}{{ names }}{{ json_shape(below, types, opens, names, closes, opens_list, closes_list, quote) }}
            {%- if not loop.last -%},{%- endif -%}
        {%- endfor -%}
        {{ closes }}
    {%- endif -%}
{%- endmacro %}
