{# The affiliate somebody chose. Eventbrite fills the field by itself when nobody did ("oddtdtcreator" and
   kin, one per page of its own): those are no channel. The one place where they are listed. #}
{% macro own_affiliate(affiliate) -%}
    {%- set prefixes = [
        'oddtdt', 'odcleo', 'odclsx', 'odclso', 'odwdwd', 'odeimc', 'odsbmc', 'ebdssb', 'ebdssh', 'ebdsop', 'ebdsor',
        'ebdsch', 'ebdslo', 'erelex', 'erellive', 'ehomecard', 'ehomesaved',
    ] -%}
    case
        when
            lower({{ affiliate }}) in ('ebapi', 'eand', 'eios', 'none')
            {% for prefix in prefixes %}
                or lower({{ affiliate }}) like '{{ prefix }}%'
            {% endfor %}
            then null
        else {{ affiliate }}
    end
{%- endmacro %}
