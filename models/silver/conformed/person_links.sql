-- Grain: one row per order, attendee and customer of a sheet that tells of a person, with the person.
{%- do renews_by(['source', 'person_id'], gone='person_key is null') %}
{%- set known_people = ref('known_people') %}
-- What a source says otherwise than held. What tells of nobody has no group.
with changed as (
    select
        known.source,
        known.person_id,
        known.email,
        known.is_customer,
        known.person_name,
        known.match_group
    from {{ known_people }} as known
    {% if is_incremental() %}
        where known.build_number > {{ built_until() }}
        union all
        select
            known.source,
            known.person_id,
            known.email,
            known.is_customer,
            known.person_name,
            known.match_group
        from {{ known_people }} as known
        left join {{ this }} as held on known.source = held.source and known.person_id = held.person_id
        where
            known.source = 'sheets'
            and (
                held.person_id is null
                or {{ built_until() }} = 0
                or coalesce(known.email, '') <> coalesce(held.email, '')
                or coalesce(known.person_name, '') <> coalesce(held.person_name, '')
            )
        union all
        select
            held.source,
            held.person_id,
            cast(null as {{ dbt.type_string() }}) as email,
            false as is_customer,
            cast(null as {{ dbt.type_string() }}) as person_name,
            cast(null as {{ dbt.type_string() }}) as match_group
        from {{ this }} as held
        left join {{ known_people }} as known
            on held.source = known.source and held.person_id = known.person_id
        where held.source = 'sheets' and known.person_id is null
    {% endif %}
),

-- A key goes with those who were last linked to it, all of one group: no other group's can change.
{% if is_incremental() %}
    touched as (
        select match_group from changed
        where match_group is not null
        union distinct
        select held.match_group
        from changed
        inner join {{ this }} as held on changed.source = held.source and changed.person_id = held.person_id
    ),
{% endif %}

members as (
    select
        source,
        person_id,
        email,
        is_customer,
        person_name,
        match_group
    from changed
    where match_group is not null
    {% if is_incremental() %}
        union all
        select
            held.source,
            held.person_id,
            held.email,
            held.is_customer,
            held.person_name,
            held.match_group
        from {{ this }} as held
        where
            held.match_group in (select match_group from touched)
            and not exists (
                select 1
                from changed
                where changed.source = held.source and changed.person_id = held.person_id
            )
    {% endif %}
)

select
    members.source,
    members.person_id,
    members.email,
    members.is_customer,
    members.person_name,
    members.match_group,
    keys.key as person_key,
    {{ this_build() }} as build_number
from members
inner join ({{ given_keys('members', 'person_id', 'person') }}) as keys
    on members.match_group = keys.match_group
{% if is_incremental() %}
    union all
    select
        source,
        person_id,
        email,
        is_customer,
        person_name,
        match_group,
        cast(null as {{ dbt.type_string() }}) as person_key,
        {{ this_build() }} as build_number
    from changed
    where match_group is null
{% endif %}
