-- Grain: one row per person, whichever sources tell of them. The name is that of the smallest (source, id)
-- that states one.
{%- do renews_by('person_key', gone='person_id is null') %}
with links as (
    select
        person_links.*,
        source || '-' || person_id as member
    from {{ ref('person_links') }} as person_links
    -- All links of a person are renewed together.
    {% if is_incremental() %} where build_number > {{ built_until() }} {% endif %}
),

smallest as (
    select
        person_key,
        min({{ bytewise('member') }}) as member,
        min(case when person_name is not null then {{ bytewise('member') }} end) as named_member,
        max(case when is_customer then 1 else 0 end) as customers
    from links
    group by person_key
),

salts as (select coalesce(max(value), '') as salt from {{ source('ops', 'customer_salt') }})

select
    smallest.person_key,
    links.source,
    links.person_id,
    named.person_name,
    links.email,
    {{ dbt.hash('salts.salt || smallest.person_key') }} as customer_key,
    smallest.customers = 1 as is_customer,
    {{ this_build() }} as build_number
from smallest
cross join salts
inner join links on smallest.member = links.member
left join links as named on smallest.named_member = named.member
{%- if is_incremental() %}
    -- Nobody is linked to these any more.
    union all
    select
        held.person_key,
        cast(null as {{ dbt.type_string() }}) as source,
        cast(null as {{ dbt.type_string() }}) as person_id,
        cast(null as {{ dbt.type_string() }}) as person_name,
        cast(null as {{ dbt.type_string() }}) as email,
        cast(null as {{ dbt.type_string() }}) as customer_key,
        false as is_customer,
        {{ this_build() }} as build_number
    from {{ this }} as held
    where
        not exists (
            select 1
            from {{ ref('person_links') }} as person_links
            where person_links.person_key = held.person_key
        )
{%- endif %}
