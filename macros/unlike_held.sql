{# The ids of those objects of a bronze table that a staging model does not hold as they are now. #}
{% macro unlike_held(objects, key) -%}
    select objects.id
    from {{ objects }} as objects
    left join {{ this }} as held on objects.id = held.{{ key }}
    where
        held.{{ key }} is null
        or held.payload_hash <> objects.payload_hash
        or held.is_missing <> (objects.missing_since is not null)
{%- endmacro %}
