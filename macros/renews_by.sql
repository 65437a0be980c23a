{# Makes a model incremental: a build replaces only the rows of the keys that its query gives. Builds are
   numbered; a row carries the number of the build that wrote it, and `ops.built` says, per model, up to which
   build it has seen its inputs. So a model asks its inputs for rows above built_until(). What a killed build
   had not renewed keeps its number, and is caught up with by the next.

   On Spark's plain parquet it is a plain table: an incremental overwrite emptied a table there.

   key: the columns whose rows are replaced together; gone: what is true of rows that say only that the key
   is no more. #}
{% macro renews_by(key, gone=none) -%}
    {{ config(
        materialized='table' if target.type == 'spark' else 'incremental',
        incremental_strategy='delete+insert',
        unique_key=key,
        on_schema_change='fail',
        post_hook=(['delete from {{ this }} where ' ~ gone] if gone else []) + ['{{ mark_built() }}'],
    ) }}
{%- endmacro %}

{# The number of the build at work. #}
{% macro this_build() -%} (select max(build_number) from {{ source('ops', 'builds') }}) {%- endmacro %}

{# The last build after which this model had seen everything; 0 before its first. Asked while the model is
   compiled: with a number in its place DuckDB sees how few rows are above it, and skips the others. #}
{% macro built_until() -%}
    {%- set built = source('ops', 'built') -%}
    {%- if execute and load_relation(built) -%}
        {%- set asked = 'select max(build_number) from ' ~ built ~ " where model = '" ~ this.identifier ~ "'" -%}
        {{ run_query(asked).columns[0].values()[0] or 0 }}
    {%- else -%} 0
    {%- endif -%}
{%- endmacro %}

{# The model is a plain table, and `ops.built` says when it was made. #}
{% macro marks_built() -%} {{ config(post_hook='{{ mark_built() }}') }} {%- endmacro %}

{# As a hook: this model has seen all that its inputs hold; `code` stands for the texts it was built from. #}
{% macro mark_built() -%}
    delete from {{ source('ops', 'built') }} where model = '{{ this.identifier }}';
    insert into {{ source('ops', 'built') }}
    select
        '{{ this.identifier }}',
        {{ this_build() }},
        '{{ var("code") }}',
        (select coalesce(max(identity_id), 0) from {{ source('ops', 'identities') }})
{%- endmacro %}
