{# How tables and views are made on DuckDB, which drops and creates within a transaction: until the commit
   others see what was there, and a killed build leaves that. So they have their own name at once. dbt's way, for
   engines that cannot do so, renames twice and drops afterwards: nearly half of what a small model costs.
   Grants, indexes and comments in the database are left out, as nothing here has any; a model cannot read the
   table it replaces. #}
{% macro made_in_place(type) -%}
    {%- set there = load_cached_relation(this) -%}
    {%- set made = this.incorporate(type=type) -%}
    {{ run_hooks(pre_hooks) }}
    {%- call statement('main') -%}
        {% if there is not none -%} drop {{ there.type }} if exists {{ there }}; {%- endif %}
        {% if type == 'view' -%} {{ create_view_as(made, compiled_code) }}
        {%- else -%} {{ create_table_as(False, made, compiled_code) }}
        {%- endif %}
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [made]}) }}
{%- endmacro %}

{% materialization table, adapter='duckdb' -%}
    {{ return(made_in_place('table')) }}
{%- endmaterialization %}

{% materialization view, adapter='duckdb' -%}
    {{ return(made_in_place('view')) }}
{%- endmaterialization %}
