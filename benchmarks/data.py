"""Data of any size for the benchmarks, made by DuckDB: the same numbers give the same rows."""

from pathlib import Path

import duckdb

EVENTS = 2_000
FIRST_DAY = "2024-07-01"

# Each random choice is a hash of the row's number and a word of its own.
SHEETS = {
    "artists": """
        select i as artist_id, 'Artist ' || i as name, 'genre ' || i % 12 as genre, 'US' as country,
            date '2020-01-01' + cast(i % 900 as integer) as created_at
        from range(1, 501) as numbers(i)
    """,
    "venues": """
        select i as venue_id, 'Venue ' || i as name, 'City ' || i % 80 as city, 'NY' as state,
            'US' as country, 200 + hash(i, 'capacity') % 3000 as capacity
        from range(1, 301) as numbers(i)
    """,
    "events": f"""
        select i as event_id, 1 + hash(i, 'artist') % 500 as artist_id, 1 + hash(i, 'venue') % 300 as venue_id,
            date '{FIRST_DAY}' + cast(hash(i, 'day') % 700 as integer) as event_date,
            case when i % 40 = 0 then 'cancelled' else 'scheduled' end as status,
            (20 + i % 60) || '.50' as ticket_price,
            case when i % 10 = 0 then 'EUR' else 'USD' end as currency
        from range(1, {EVENTS + 1}) as numbers(i)
    """,
    "customers": """
        select i as customer_id, 'Customer ' || i as name, 'customer' || i || '@example.org' as email,
            'City ' || i % 80 as city, 'NY' as state, 'US' as country,
            date '2021-01-01' + cast(i % 1500 as integer) as created_at
        from range(1, cast({tickets} / 5 as bigint) + 1) as numbers(i)
    """,
    "tickets": """
        select i as ticket_id, events.event_id, 1 + hash(i, 'customer') % cast({tickets} / 5 as bigint) as customer_id,
            strftime(
                events.event_date - to_days(cast(hash(i, 'ahead') % 60 as integer))
                    + to_seconds(cast(hash(i, 'second') % 86400 as bigint)),
                '%Y-%m-%d %H:%M:%S'
            ) as purchase_datetime,
            ['web', 'Email', 'instagram', 'tiktok', 'box office', ''][cast(1 + hash(i, 'channel') % 6 as integer)]
                as channel,
            case when hash(i, 'free') % 50 = 0 then '0' else events.ticket_price end as price_paid,
            events.currency,
            case hash(i, 'status') % 100
                when 0 then 'refunded' when 1 then 'refunded' when 2 then 'cancelled' when 3 then 'transferred'
                else 'valid'
            end as status
        from range(1, {tickets} + 1) as numbers(i)
        inner join events on events.event_id = 1 + hash(i, 'event') % 2000
        order by i
    """,
    "checkins": """
        select row_number() over (order by tickets.ticket_id) as checkin_id, tickets.event_id, tickets.ticket_id,
            strftime(events.event_date + to_seconds(cast(64800 + hash(ticket_id, 'scan') % 7200 as bigint)),
                '%Y-%m-%d %H:%M:%S') as scanned_at,
            'gate ' || hash(ticket_id, 'gate') % 6 as gate
        from tickets
        inner join events on tickets.event_id = events.event_id
        where tickets.status = 'valid' and hash(ticket_id, 'came') % 100 < 82
            and events.event_date < date '2026-01-01' and events.status = 'scheduled'
    """,
    "refunds": """
        select row_number() over (order by tickets.ticket_id) as refund_id, tickets.ticket_id, tickets.event_id,
            'asked' as reason, tickets.price_paid as refund_amount,
            strftime(cast(tickets.purchase_datetime as timestamp) + to_days(cast(1 + ticket_id % 9 as integer)),
                '%Y-%m-%d %H:%M:%S') as refunded_at
        from tickets
        where tickets.status = 'refunded'
    """,
    "campaigns": f"""
        select i as campaign_id, 1 + i % {EVENTS} as event_id,
            ['web', 'email', 'Instagram', 'tiktok'][cast(1 + i // {EVENTS} as integer)] as channel,
            (100 + hash(i, 'spend') % 900) || '.25' as spend, hash(i, 'seen') % 90000 as impressions,
            hash(i, 'clicked') % 900 as clicks, hash(i, 'bought') % 90 as conversions,
            cast(events.event_date - 45 as date) as start_date, cast(events.event_date - 3 as date) as end_date
        from range(0, {EVENTS * 4}) as numbers(i)
        inner join events on events.event_id = 1 + i % {EVENTS}
        order by i
    """,
}


def write_sheets(folder: Path, tickets: int) -> None:
    """The eight event sheets as CSV files, tickets.csv with that many rows; the others in proportion."""
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        for sheet, query in SHEETS.items():
            connection.execute(f"create table {sheet} as {query.replace('{tickets}', str(tickets))}")
            connection.execute(f"copy {sheet} to '{folder / sheet}.csv' (header, delimiter ',')")


# Money as Eventbrite writes it: minor units, and the same again for display.
MONEY = """{{'currency': currency, 'value': {value}, 'major_value': cast({value} / 100 as varchar),
    'display': '$' || {value} / 100}}"""

TYPED = {
    "events": """
        select cast(800000000000 + i as varchar) as id,
            timestamp '2024-07-01 18:00:00' + to_days(cast(hash(i, 'day') % 700 as integer)) as starts_at,
            case when i % 10 = 0 then 'JPY' else 'USD' end as currency, 400 as capacity
        from range(1, cast({attendees} / 250 as bigint) + 1) as numbers(i)
    """,
    "orders": """
        select cast(10000000000 + i as varchar) as id, events.id as event_id, events.currency,
            events.starts_at - to_days(cast(1 + hash(i, 'ahead') % 60 as integer))
                + to_seconds(cast(hash(i, 'second') % 80000 as bigint)) as created_at,
            2000 + 100 * cast(hash(events.id, 'price') % 80 as integer) as base, i as number
        from range(1, cast({attendees} / 2 as bigint) + 1) as numbers(i)
        inner join events
            on events.id = cast(800000000001 + hash(i, 'event') % cast({attendees} / 250 as bigint) as varchar)
    """,
    # Two an order. One in fifty is refunded whole, in a version of its own two days after the sale.
    "attendees": """
        select cast(20000000000 + 2 * orders.number + seat as varchar) as id, orders.id as order_id,
            orders.event_id, '3' || orders.event_id as ticket_class_id, orders.currency, orders.created_at,
            orders.base as base_price, cast(orders.base / 20 as bigint) as eventbrite_fee,
            cast(orders.base / 40 as bigint) as payment_fee,
            hash(orders.number, seat, 'refund') % 50 = 0 as is_refunded,
            hash(orders.number, seat, 'came') % 100 < 80 and orders.created_at < timestamp '2025-12-01'
                as is_checked_in,
            case hash(orders.number, 'channel') % 4
                when 0 then 'SPRING' when 1 then 'friends' else 'oddtdtcreator'
            end as channel
        from orders
        cross join range(0, 2) as seats(seat)
    """,
}

PAYLOADS = {
    "events": """
        select id, '700000000001' as organization_id, '5000001' as venue_id, cast(null as varchar) as series_id,
            starts_at - interval 90 day as changed, cast(to_json({
                'id': id, 'name': {'text': 'Event ' || id, 'html': 'Event ' || id}, 'summary': 'An evening out',
                'url': 'https://www.eventbrite.com/e/' || id,
                'start': {'timezone': 'America/New_York', 'utc': strftime(starts_at, '%Y-%m-%dT%H:%M:%SZ'),
                    'local': strftime((starts_at at time zone 'UTC') at time zone 'America/New_York',
                        '%Y-%m-%dT%H:%M:%S')},
                'end': {'timezone': 'America/New_York',
                    'utc': strftime(starts_at + interval 3 hour, '%Y-%m-%dT%H:%M:%SZ'),
                    'local': strftime(((starts_at + interval 3 hour) at time zone 'UTC')
                        at time zone 'America/New_York', '%Y-%m-%dT%H:%M:%S')},
                'organization_id': '700000000001', 'venue_id': '5000001', 'status': 'completed',
                'currency': currency, 'capacity': capacity, 'online_event': false, 'is_series': false,
                'is_series_parent': false
            }) as varchar) as payload
        from events
    """,
    "venues": """
        select '5000001' as id, '700000000001' as organization_id, cast(to_json({
            'id': '5000001', 'name': 'Example Hall', 'address': {'city': 'New York', 'region': 'NY', 'country': 'US'}
        }) as varchar) as payload
    """,
    "ticket_classes": f"""
        select '3' || id as id, id as event_id, '700000000001' as organization_id, cast(to_json({{
            'id': '3' || id, 'event_id': id, 'name': 'General', 'category': 'admission', 'free': false,
            'donation': false, 'capacity': 400, 'quantity_total': 400, 'cost': {MONEY.format(value=5000)}
        }}) as varchar) as payload
        from events
    """,
    "orders": f"""
        select id, event_id, '700000000001' as organization_id, created_at as changed, cast(to_json({{
            'id': id, 'created': strftime(created_at, '%Y-%m-%dT%H:%M:%SZ'),
            'changed': strftime(created_at, '%Y-%m-%dT%H:%M:%SZ'), 'name': 'Kim Buyer', 'first_name': 'Kim',
            'last_name': 'Buyer', 'email': 'buyer' || id || '@example.org', 'status': 'placed',
            'event_id': event_id, 'time_remaining': null,
            'costs': {{'base_price': {MONEY.format(value="amounts.base")},
                'eventbrite_fee': {MONEY.format(value="amounts.fee")},
                'payment_fee': {MONEY.format(value="amounts.payment")}, 'tax': {MONEY.format(value=0)},
                'gross': {MONEY.format(value="amounts.base + amounts.fee + amounts.payment")}}}
        }}) as varchar) as payload
        from orders
        inner join (
            select order_id, sum(base_price) as base, sum(eventbrite_fee) as fee, sum(payment_fee) as payment
            from attendees where not is_refunded group by order_id
        ) as amounts on orders.id = amounts.order_id
    """,
    "attendee_versions": f"""
        select id, order_id, event_id, '700000000001' as organization_id, changed, cast(to_json({{
            'id': id, 'created': strftime(created_at, '%Y-%m-%dT%H:%M:%SZ'),
            'changed': strftime(changed, '%Y-%m-%dT%H:%M:%SZ'), 'event_id': event_id, 'order_id': order_id,
            'ticket_class_id': ticket_class_id, 'ticket_class_name': 'General', 'variant_id': null, 'quantity': 1,
            'status': case when is_lowered then 'Not Attending' when is_checked_in then 'Checked In'
                else 'Attending' end,
            'checked_in': is_checked_in and not is_refunded, 'cancelled': is_lowered, 'refunded': is_lowered,
            'profile': {{'name': 'Kim Buyer', 'first_name': 'Kim', 'last_name': 'Buyer',
                'email': 'buyer' || order_id || '@example.org', 'cell_phone': '555-0100', 'addresses': cast('{{}}' as json)}},
            'answers': [{{'question_id': '40000001', 'question': 'Meal?', 'type': 'multiple_choice',
                'answer': 'Vegan'}}],
            'barcodes': [{{'barcode': order_id || id || '001', 'status': 'unused', 'checkin_type': 0,
                'is_printed': false, 'created': strftime(created_at, '%Y-%m-%dT%H:%M:%SZ'),
                'changed': strftime(changed, '%Y-%m-%dT%H:%M:%SZ')}}],
            'costs': {{'base_price': {MONEY.format(value="base_price * paid")},
                'eventbrite_fee': {MONEY.format(value="eventbrite_fee * paid")},
                'payment_fee': {MONEY.format(value="payment_fee * paid")}, 'tax': {MONEY.format(value=0)},
                'gross': {MONEY.format(value="(base_price + eventbrite_fee + payment_fee) * paid")}}},
            'team': null, 'affiliate': case when channel = 'SPRING' then null else channel end,
            'promotional_code': case when channel = 'SPRING' then {{'code': 'SPRING'}} end,
            'guestlist_id': null, 'invited_by': null, 'delivery_method': 'electronic'
        }}) as varchar) as payload, is_refunded and not is_lowered as is_superseded
        from (
            select *, created_at as changed, false as is_lowered, 1 as paid from attendees
            union all
            select *, created_at + interval 2 day as changed, true as is_lowered, 0 as paid
            from attendees where is_refunded
        ) as versions
    """,
}


def write_attendees(warehouse: Path, attendees: int) -> None:
    """Eventbrite payloads, two attendees an order, into the empty bronze_eventbrite tables of a warehouse."""
    landed = "timestamp '2026-01-01' as landed_at"
    with duckdb.connect() as connection:
        for table, query in TYPED.items():
            connection.execute(f"create table {table} as {query.replace('{attendees}', str(attendees))}")
        connection.execute(f"attach '{warehouse}' as warehouse")
        for table, query in PAYLOADS.items():
            connection.execute(
                f"create table new_{table} as select *, md5(payload) as payload_hash from ({query})"
            )
            if table != "attendee_versions":
                connection.execute(
                    f"insert into warehouse.bronze_eventbrite.{table} by name select *, {landed} from new_{table}"
                )
        for table, current, versions in (
            ("orders", None, "new_orders"),
            ("attendees", "not is_superseded", "new_attendee_versions"),
        ):
            connection.execute(
                f"insert into warehouse.bronze_eventbrite.{table}_history by name"
                f" select id, changed, payload_hash, payload, {landed} from {versions}"
            )
            if current:
                connection.execute(
                    f"insert into warehouse.bronze_eventbrite.{table} by name"
                    f" select * exclude (is_superseded), {landed} from {versions} where {current}"
                )


def add_attendees(warehouse: Path, attendees: int, day: int) -> None:
    """As many new attendees, two an order, beside those write_attendees made; each `day` makes others."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("use bronze_eventbrite")
        # New ids in the place of old ones, in columns and payloads alike.
        connection.execute(
            "create temp table copied as select id, '9' || $day || id as new_id from orders"
            " order by hash(id) limit $orders",
            {"day": str(day), "orders": attendees // 2},
        )
        connection.execute(
            """
            create temp table new_orders as
            select orders.* replace (new_id as id, replace(payload, copied.id, new_id) as payload)
            from orders inner join copied using (id)
            """
        )
        connection.execute(
            """
            create temp table new_attendees as
            select attendees.* replace (
                new_id || attendees.id as id, new_id as order_id,
                replace(replace(payload, copied.id, new_id), '"id":"' || attendees.id, '"id":"' || new_id || attendees.id)
                    as payload
            )
            from attendees inner join copied on attendees.order_id = copied.id
            """
        )
        for table in ("orders", "attendees"):
            connection.execute(f"update new_{table} set payload_hash = md5(payload)")
            connection.execute(f"insert into {table} from new_{table}")
            connection.execute(
                f"insert into {table}_history by name"
                f" select id, changed, payload_hash, payload, landed_at from new_{table}"
            )
