-- Grain: one row per event and ticket class that ever was: what tickets and orders take from it, as one text,
-- so that they see it change.
{%- do renews_by(['kind', 'id']) %}
with terms as (
    select
        'event' as kind,
        event_id as id,
        coalesce(currency, '') || '/' || coalesce(timezone, '') as terms
    from {{ ref('known_events') }}
    where source = 'eventbrite'
    union all
    select
        'ticket_class' as kind,
        ticket_class_id as id,
        category || '/' || coalesce(ticket_class_name, '') as terms
    from {{ ref('ticket_classes') }}
)

select
    terms.kind,
    terms.id,
    terms.terms,
    {{ this_build() }} as build_number
from terms
{% if is_incremental() %}
    left join {{ this }} as held on terms.kind = held.kind and terms.id = held.id
    where held.id is null or terms.terms <> held.terms
    union all
    select
        held.kind,
        held.id,
        'gone' as terms,
        {{ this_build() }} as build_number
    from {{ this }} as held
    left join terms on held.kind = terms.kind and held.id = terms.id
    where terms.id is null and held.terms <> 'gone'
{% endif %}
