{# Before every dbt command that builds: schema `ops` as far as models read it, empty where no ops file was
   copied into the warehouse, so that bare dbt commands work; and the build gets its number. boxoffice/ops.py
   fills the same columns. #}
{% macro ops_tables() -%}
    {%- set tables = {
        'airtable_keys': 'base_id {text}, table_id {text}, key {text}, record_id {text}, written_at timestamp',
        'identities': 'identity_id bigint, kind {text}, source {text}, id {text}, key {text}, given_at timestamp',
        'customer_salt': 'value {text}',
        'builds': 'build_number bigint',
        'built': 'model {text}, build_number bigint, code {text}, identities_until bigint',
        'runs': 'run_id bigint, command {text}, as_of timestamp, is_sandbox boolean, started_at timestamp,'
            ~ ' ended_at timestamp, seconds {double}, status {text}, exit_code integer',
        'steps': 'run_id bigint, position integer, step {text}, status {text}, rows_read bigint,'
            ~ ' rows_changed bigint, rows_rejected bigint, seconds {double}, requests bigint',
        'tests': 'run_id bigint, test {text}, table_name {text}, severity {text}, status {text}, rows_failed bigint',
    } -%}
    {%- if execute -%}
        {%- do run_query('create schema if not exists ops') -%}
        {%- for table, columns in tables.items() -%}
            {%- do run_query(
                'create table if not exists ops.' ~ table
                ~ ' (' ~ columns | replace('{text}', dbt.type_string()) | replace('{double}', t_double()) ~ ')'
            ) -%}
        {%- endfor -%}
        {%- set last = '(select coalesce(max(build_number), 0) from ops.builds)' -%}
        {%- do run_query('insert into ops.builds select ' ~ last ~ ' + 1') -%}
        {%- do run_query('delete from ops.builds where build_number < ' ~ last) -%}
    {%- endif -%}
{%- endmacro %}
