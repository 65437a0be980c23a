-- Per event: its tickets in event_money, its money in the own currency and the rows of campaign_roi add up to
-- event_sales; no spend of silver.campaigns is lost.
with event_sales as (select * from {{ ref('event_sales') }}),

event_money as (
    select
        event_money.event_key,
        sum(event_money.tickets_sold) as tickets_sold,
        sum(
            case
                when
                    event_money.currency = event_sales.currency
                    or (event_money.currency is null and event_sales.currency is null)
                    then event_money.net_revenue
                else 0
            end
        ) as net_revenue
    from {{ ref('event_money') }} as event_money
    left join event_sales on event_money.event_key = event_sales.event_key
    group by event_money.event_key
),

campaign_roi as (
    select
        event_key,
        sum(conv_tickets) as conv_tickets,
        sum(conv_revenue) as conv_revenue,
        sum(spend) as spend,
        sum(case when channel = 'unattributed' then 1 else 0 end) as unattributed_rows
    from {{ ref('campaign_roi') }}
    group by event_key
),

campaigns as (
    select
        event_key,
        sum(spend_amount) as spend
    from {{ ref('campaigns') }}
    group by event_key
),

-- An event that one of them lacks or event_sales does not know must show, so keys come from all.
event_keys as (
    select event_key from event_sales
    union distinct
    select event_key from event_money
    union distinct
    select event_key from campaigns
)

select
    event_keys.event_key,
    event_sales.tickets_sold,
    event_money.tickets_sold as tickets_in_event_money,
    campaign_roi.conv_tickets as tickets_in_campaign_roi,
    event_sales.net_revenue,
    event_money.net_revenue as net_in_event_money,
    campaign_roi.conv_revenue as revenue_in_campaign_roi,
    campaigns.spend,
    campaign_roi.spend as spend_in_campaign_roi,
    event_sales.gross_revenue - event_sales.refunds_amount as revenue
from event_keys
left join event_sales on event_keys.event_key = event_sales.event_key
left join event_money on event_keys.event_key = event_money.event_key
left join campaign_roi on event_keys.event_key = campaign_roi.event_key
left join campaigns on event_keys.event_key = campaigns.event_key
where
    event_sales.event_key is null
    or campaign_roi.unattributed_rows is null
    or campaign_roi.unattributed_rows <> 1
    or event_sales.tickets_sold <> coalesce(event_money.tickets_sold, 0)
    or event_sales.tickets_sold <> campaign_roi.conv_tickets
    or event_sales.net_revenue <> coalesce(event_money.net_revenue, 0)
    or event_sales.gross_revenue - event_sales.refunds_amount <> campaign_roi.conv_revenue
    or coalesce(campaigns.spend, 0) <> coalesce(campaign_roi.spend, 0)
