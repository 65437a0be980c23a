-- Grain: one row per order, attendee and customer of a sheet that tells of a person, with the person.
with people as (select * from {{ ref('known_people') }})

select
    people.source,
    people.person_id,
    keys.key as person_key,
    keys.identities_until
from people
inner join ({{ given_keys(ref('known_people'), 'person_id', 'person') }}) as keys
    on people.match_group = keys.match_group
