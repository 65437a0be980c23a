{# The sources whose rows a sync model holds, as a list for `in`: Eventbrite, unless `sources` of its
   destination's meta says more. #}
{% macro synced_sources(destination) -%}
    {%- set said = (model.config.meta or {}).get(destination) or {} -%}
    '{{ (said.sources or ['eventbrite']) | join("', '") }}'
{%- endmacro %}
