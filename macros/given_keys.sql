{# A relation of match_group and key: the key of each group of records that are one thing. A key once given is
   kept:
   - it goes to the group of the smallest (source, id) that was last linked to it;
   - of several that meet in one group the oldest stays, of equally old ones the smallest;
   - a group without one gets that of its smallest (source, id), or, while others are linked to that, one
     that says it was split off. Its number is beyond any that was used when others were given.
   Keys are read by people and published, so one made of an e-mail shows a salted hash.

   records: relation of source, the column `id`, and match_group; kind: the kind in ops.identities. #}
{% macro given_keys(records, id, kind) %}
    with identities as (
        select
            identity_id,
            source,
            id,
            key,
            given_at
        from {{ source('ops', 'identities') }}
        where kind = '{{ kind }}'
    ),

    linked as (
        select
            records.match_group,
            records.source || '-' || records.{{ id }} as member,
            identities.key,
            identities.given_at
        from {{ records }} as records
        left join identities on records.source = identities.source and records.{{ id }} = identities.id
    ),

    smallest as (
        select
            match_group,
            min({{ bytewise('member') }}) as member
        from linked
        group by match_group
    ),

    holders as (
        select
            key,
            min(given_at) as given_at,
            min({{ bytewise('member') }}) as member
        from linked
        where key is not null
        group by key
    ),

    kept as (
        select
            linked.match_group,
            holders.key,
            row_number() over (
                partition by linked.match_group
                order by holders.given_at, {{ bytewise('holders.key') }}
            ) as place
        from holders
        inner join linked on holders.member = linked.member
    ),

    numbers as (select coalesce(max(identity_id), 0) as number from {{ source('ops', 'identities') }}),

    salts as (select coalesce(max(value), '') as salt from {{ source('ops', 'customer_salt') }}),

    own as (
        select
            smallest.match_group,
            case
                when smallest.member like '%@%' then 'hidden-' || {{ dbt.hash('salts.salt || smallest.member') }}
                else smallest.member
            end as key
        from smallest
        cross join salts
    ),

    taken as (
        select distinct own.key
        from own
        inner join identities on own.key = identities.key
    )

    select
        own.match_group,
        case
            when kept.key is not null then kept.key
            when taken.key is null then own.key
            else 'split-' || cast(numbers.number as {{ dbt.type_string() }}) || '-' || own.key
        end as key
    from own
    cross join numbers
    left join kept on own.match_group = kept.match_group and kept.place = 1
    left join taken on own.key = taken.key
{% endmacro %}
