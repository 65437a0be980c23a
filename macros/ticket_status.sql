{# What became of a ticket, first that fits. One macro a source, so that each reads as its own list. #}
{% macro eventbrite_ticket_status(attendee, order) -%}
    case
        when {{ attendee }}.is_missing or coalesce({{ order }}.is_missing, false) then 'deleted'
        when {{ attendee }}.status = 'deleted' or coalesce({{ order }}.status, '') = 'deleted' then 'deleted'
        when {{ attendee }}.is_unpaid or coalesce({{ order }}.is_unpaid, false) then 'unpaid'
        when {{ attendee }}.is_cancelled or coalesce({{ order }}.status, '') in ('cancelled', 'canceled') then 'cancelled'
        when {{ attendee }}.is_refunded
            and coalesce({{ attendee }}.status, case when {{ attendee }}.is_checked_in then 'checked in' else '' end)
            not in ('attending', 'checked in', 'guests attending', 'guests attended') then 'refunded'
        -- Eventbrite lists those who gave their place up without a flag under this status alone.
        when {{ attendee }}.status = 'not attending' then 'cancelled'
        when coalesce({{ attendee }}.status, 'attending')
            in ('attending', 'checked in', 'guests attending', 'guests attended') then 'valid'
        else 'unknown'
    end
{%- endmacro %}

{% macro sheet_ticket_status(status) -%}
    case
        when {{ status }} is null then 'valid'
        when {{ status }} in (
            'valid', 'active', 'paid', 'sold', 'confirmed', 'completed', 'complete', 'issued', 'purchased', 'booked',
            'used', 'scanned', 'attended', 'checked_in', 'checked in', 'checked-in'
        ) then 'valid'
        when {{ status }} in ('refunded', 'refund') then 'refunded'
        when {{ status }} in ('cancelled', 'canceled', 'void', 'voided') then 'cancelled'
        when {{ status }} in ('transferred', 'transfered') then 'transferred'
        when {{ status }} in ('unpaid', 'pending', 'reserved') then 'unpaid'
        when {{ status }} = 'deleted' then 'deleted'
        else 'unknown'
    end
{%- endmacro %}
