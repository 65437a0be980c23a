-- Grain: one row per cell of Airtable that could not be read as what its column holds, and per campaign
-- whose event is not known.
{{ config(materialized='view') }}
{%- set parsed = {
    'venues': {'id': 'venue_id', 'columns': ['capacity']},
    'artists': {'id': 'artist_id', 'columns': ['created_date']},
    'events': {'id': 'event_id', 'columns': ['event_date', 'starts_at', 'ends_at', 'timezone', 'stated_capacity']},
    'campaigns': {'id': 'campaign_id', 'columns': [
        'spend_amount', 'impressions', 'clicks', 'conversions', 'start_date', 'end_date'
    ]},
} %}
select
    role || 's' as table_name,
    record_id as record_key,
    column_name,
    raw as value,
    'an error, a file or something else without text' as reason,
    'blanked' as severity
from {{ ref('base_airtable__cells') }}
where is_unreadable
{%- for table, read in parsed.items() %}
    {%- for column in read.columns %}
        union all
        select
            '{{ table }}' as table_name,
            {{ read.id }} as record_key,
            '{{ column }}' as column_name,
            {{ column }}_text as value,
            'not readable as what the column holds' as reason,
            'blanked' as severity
        from {{ ref('stg_airtable__' ~ table) }}
        where {{ column }}_text is not null and {{ column }} is null
    {%- endfor %}
{%- endfor %}
union all
select
    'campaigns' as table_name,
    stated.campaign_id as record_key,
    'event_id' as column_name,
    stated.event_id as value,
    'no such event' as reason,
    'flagged' as severity
from {{ ref('stg_airtable__campaigns') }} as stated
inner join {{ ref('campaigns') }} as campaigns on stated.campaign_key = campaigns.campaign_key
where campaigns.event_key = 'airtable-unknown'
