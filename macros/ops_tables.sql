{# Before every dbt command: schema `ops` as far as models read it, empty where no ops file was copied into
   the warehouse, so that bare dbt commands work. boxoffice/ops.py fills the same columns. #}
{% macro ops_tables() -%}
    {%- set tables = {
        'identities': 'identity_id bigint, kind {text}, source {text}, id {text}, key {text}, given_at timestamp',
        'customer_salt': 'value {text}',
    } -%}
    {%- if execute -%}
        {%- do run_query('create schema if not exists ops') -%}
        {%- for table, columns in tables.items() -%}
            {%- do run_query(
                'create table if not exists ops.' ~ table
                ~ ' (' ~ columns | replace('{text}', dbt.type_string()) ~ ')'
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
