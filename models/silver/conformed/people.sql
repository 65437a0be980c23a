-- Grain: one row per person, whichever sources tell of them. The name is that of the smallest (source, id)
-- that states one.
with listed as (
    select
        people.*,
        links.person_key,
        people.source || '-' || people.person_id as member
    from {{ ref('known_people') }} as people
    inner join {{ ref('person_links') }} as links
        on people.source = links.source and people.person_id = links.person_id
),

smallest as (
    select
        person_key,
        min({{ bytewise('member') }}) as member,
        min(case when person_name is not null then {{ bytewise('member') }} end) as named_member,
        max(case when is_customer then 1 else 0 end) as customers
    from listed
    group by person_key
),

salts as (select coalesce(max(value), '') as salt from {{ source('ops', 'customer_salt') }})

select
    smallest.person_key,
    listed.source,
    listed.person_id,
    named.person_name,
    listed.email,
    {{ dbt.hash('salts.salt || smallest.person_key') }} as customer_key,
    smallest.customers = 1 as is_customer
from smallest
cross join salts
inner join listed on smallest.member = listed.member
left join listed as named on smallest.named_member = named.member
