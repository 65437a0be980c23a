-- Grain: one row per day of the years that hold any day in the data, and one (-1) for no usable day.
with tickets as (select * from {{ ref('tickets') }}),

order_items as (select * from {{ ref('order_items') }}),

refunds as (select * from {{ ref('refunds') }}),

checkins as (select * from {{ ref('checkins') }}),

events as (select * from {{ ref('events') }}),

campaigns as (select * from {{ ref('campaigns') }}),

artists as (select * from {{ ref('artists') }}),

-- 1990 begins on a Monday, so its first ISO week is whole.
calendar as (
    select cast(spine.date_day as date) as full_date
    from (
        {{ dbt.date_spine("day", "cast('1990-01-01' as date)", "cast('2101-01-01' as date)") }}
    ) as spine
),

-- Each column's days once: far fewer than its rows.
days as (
    select sold_date as full_date from tickets
    union distinct
    select sold_date as full_date from order_items
    union distinct
    select refunded_date as full_date from refunds
    union distinct
    select cast(checked_in_local as date) as full_date from checkins
    union distinct
    select event_date as full_date from events
    union distinct
    select start_date as full_date from campaigns
    union distinct
    select end_date as full_date from campaigns
    union distinct
    select created_date as full_date from artists
    union distinct
    select cast({{ as_of() }} as date) as full_date
),

bounds as (
    select
        min(extract(year from full_date)) as first_year,
        max(extract(year from full_date)) as last_year
    from days
    where {{ date_key('full_date') }} <> -1
),

weekdays as (
    select
        full_date,
        cast(
            mod({{ dbt.datediff("cast('1990-01-01' as date)", "full_date", "day") }}, 7) + 1 as integer
        ) as day_of_week
    from calendar
),

thursdays as (
    select
        full_date,
        day_of_week,
        -- An ISO week belongs to the year of its Thursday.
        cast(
            extract(year from {{ dbt.dateadd("day", "4 - day_of_week", "full_date") }}) as integer
        ) as week_year
    from weekdays
),

weeks as (
    select
        full_date,
        day_of_week,
        week_year,
        row_number() over (partition by week_year, day_of_week order by full_date) as week
    from thursdays
)

select
    {{ date_key('weeks.full_date') }} as date_key,
    weeks.full_date,
    cast(extract(year from weeks.full_date) as integer) as year,
    cast(extract(quarter from weeks.full_date) as integer) as quarter,
    cast(extract(month from weeks.full_date) as integer) as month,
    case extract(month from weeks.full_date)
        when 1 then 'January'
        when 2 then 'February'
        when 3 then 'March'
        when 4 then 'April'
        when 5 then 'May'
        when 6 then 'June'
        when 7 then 'July'
        when 8 then 'August'
        when 9 then 'September'
        when 10 then 'October'
        when 11 then 'November'
        when 12 then 'December'
    end as month_name,
    cast(weeks.week as integer) as week,
    weeks.week_year,
    cast(extract(day from weeks.full_date) as integer) as day,
    weeks.day_of_week,
    weeks.day_of_week >= 6 as is_weekend
from weeks
cross join bounds
where extract(year from weeks.full_date) between bounds.first_year and bounds.last_year
union all
select
    -1 as date_key,
    cast(null as date) as full_date,
    cast(null as integer) as year,
    cast(null as integer) as quarter,
    cast(null as integer) as month,
    cast(null as {{ dbt.type_string() }}) as month_name,
    cast(null as integer) as week,
    cast(null as integer) as week_year,
    cast(null as integer) as day,
    cast(null as integer) as day_of_week,
    cast(null as boolean) as is_weekend
