{# A JSON text read once: the paths wanted of it, each 'text', 'integer' or 'boolean', to be addressed by
   json_text, json_integer and json_boolean. A step that is a number is a place in a list, from 0. DuckDB
   and Spark make a struct of just these paths, Postgres keeps the document. #}
{% macro json_parsed(column, paths) -%}
    {{ return(adapter.dispatch('json_parsed')(column, paths)) }}
{%- endmacro %}

{% macro duckdb__json_parsed(column, paths) -%}
    {%- set marks = {'opens': '{', 'closes': '}', 'opens_list': '[', 'closes_list': ']', 'quote': '"'} -%}
    {%- set types = {'text': '"VARCHAR"', 'integer': '"BIGINT"', 'boolean': '"BOOLEAN"'} -%}
    json_transform({{ column }}, '{{ json_shape(json_tree(paths), types, marks) }}')
{%- endmacro %}

{% macro postgres__json_parsed(column, paths) -%} cast({{ column }} as jsonb) {%- endmacro %}

{% macro spark__json_parsed(column, paths) -%}
    {%- set marks = {
        'opens': 'struct<', 'closes': '>', 'opens_list': 'array<', 'closes_list': '>', 'quote': '`'
    } -%}
    {%- set types = {'text': 'string', 'integer': 'bigint', 'boolean': 'boolean'} -%}
    from_json({{ column }}, '{{ json_shape(json_tree(paths), types, marks) }}')
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

{% macro json_shape(node, types, marks) -%}
    {%- if node is string -%} {{ types[node] }}
    {%- elif '0' in node -%}
        {{ marks.opens_list }}{{ json_shape(node['0'], types, marks) }}{{ marks.closes_list }}
    {%- else -%}
        {{ marks.opens }}
        {%- for step, below in node.items() -%}
            {{ marks.quote }}{{ step }}{{ marks.quote }}:{{ json_shape(below, types, marks) }}
            {%- if not loop.last -%},{%- endif -%}
        {%- endfor -%}
        {{ marks.closes }}
    {%- endif -%}
{%- endmacro %}
