"""Gold equals the plain Python account of it, and no money is lost, on worlds wilder than any real one."""

import json
import os
from collections import defaultdict
from datetime import UTC
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.python.models import oracle, wild
from tests.python.models.bronze import SHEETS, Bronze
from tests.python.models.compare import KEYS, differences, keyed
from tests.python.models.test_models_are_described import doubled_keys
from tests.python.models.warehouse import AS_OF, Warehouse

# A seed that failed once stays. BOXOFFICE_SEEDS=100-120 tries others.
SEEDS = [1, 2, 3, 4, 6]
if wanted := os.environ.get("BOXOFFICE_SEEDS"):
    low, _, high = wanted.partition("-")
    SEEDS = list(range(int(low), int(high or low) + 1))


# An event that event_links joins holds money of both sources.
_GROSS_OF_EVENTBRITE = """
    select sum(amount) as n from (
        select sum(gross_amount) as amount from silver.tickets where source = 'eventbrite'
        union all select sum(gross_amount) from silver.order_items
    )"""
_LEFT_OF_SHEETS = """
    select sum(amount) as n from (
        select sum(gross_amount) as amount from silver.tickets where source = 'sheets'
        union all select -sum(amount) from silver.refunds where source = 'sheets'
    )"""


@pytest.mark.parametrize("seed", SEEDS)
def test_gold_is_what_the_formulas_say_and_nothing_is_lost(seed, warehouse_of, dbt):
    world = wild.world(seed)
    warehouse = warehouse_of(world)
    # Whatever the sources say, every data test holds: dirt goes to silver.data_issues.
    zone = ["", "America/New_York"][seed % 2]
    said = ["--exclude", "event_links"] if world.links else []
    warehouse.build("--exclude-resource-type", "unit_test", *said, sheets_timezone=zone)

    expected = oracle.gold(world.tables, AS_OF, world.links)
    found = []
    for mart in KEYS:
        found += differences(mart, expected[mart], keyed(mart, warehouse.rows(f"gold.{mart}")))
    found += mistimed(world, warehouse, zone)
    found += doubled_keys(warehouse, dbt.manifest())
    found += unaccounted_rows(world, warehouse)
    found += unaccounted_sheet_money(world, warehouse)
    found += unaccounted_order_money(world, warehouse)
    found += unsynced_money(warehouse)
    assert found == [], f"seed {seed}: {len(found)} differences, the first: " + "\n".join(found[:10])


def unsynced_money(warehouse: Warehouse) -> list[str]:
    """Each ticket and all money of Eventbrite is in one sale, but what an order holds in another currency."""
    sums = (
        "sum(gross_amount) as gross, sum(refunds_amount) as refunds, sum(fees_amount) as fees, "
        "sum(tax_amount) as tax"
    )
    entries = """
        select order_key, currency, gross_amount, refunds_amount, fees_amount, tax_amount,
            case when is_valid and is_seat then 1 else 0 end as seats
        from silver.tickets where source = 'eventbrite'
        union all
        select order_key, currency, gross_amount, refunds_amount, fees_amount, tax_amount, 0
        from silver.order_items"""
    silver = warehouse.rows(
        f"select entries.currency, {sums.replace('sum(', 'sum(entries.')} from ({entries}) as entries "
        "left join silver.orders using (order_key) "
        "where orders.order_key is null or orders.currency is not distinct from entries.currency "
        "group by entries.currency having gross <> 0 or refunds <> 0 order by 1"
    )
    sync = warehouse.rows(
        f"select currency, {sums} from sync.sync_airtable__ticket_sales "
        "group by currency having gross <> 0 or refunds <> 0 order by 1"
    )
    seats = warehouse.rows(f"select coalesce(sum(seats), 0) as n from ({entries})")[0]["n"]
    sold = warehouse.rows("select coalesce(sum(ticket_count), 0) as n from sync.sync_airtable__ticket_sales")
    found = [] if sync == silver else [f"sales hold {sync}, silver {silver}"]
    return found if sold[0]["n"] == seats else [*found, f"sales of {sold[0]['n']} tickets, {seats} sold"]


def mistimed(world: Bronze, warehouse: Warehouse, zone: str) -> list[str]:
    """A sheet's times are as written; UTC is known where SHEETS_TIMEZONE is, and no day moves for it."""
    found = []
    for sheet, key, column, query in (
        (
            "tickets",
            "ticket_id",
            "purchase_datetime",
            "sold_at as utc, sold_local as local from silver.tickets",
        ),
        (
            "checkins",
            "checkin_id",
            "scanned_at",
            "checked_in_at as utc, checked_in_local as local from silver.checkins",
        ),
        (
            "refunds",
            "refund_id",
            "refunded_at",
            "refunded_at as utc, refunded_local as local from silver.refunds",
        ),
    ):
        held = {
            row[key]: (row["local"], row["utc"])
            for row in warehouse.rows(f"select {key}, {query} where source = 'sheets'")
        }
        for row in oracle.kept(world.tables, sheet, key):
            local = oracle.as_moment(row[column])
            utc = None
            if zone and local is not None:
                # An hour that the change of clocks leaves out or repeats is read in winter time.
                utc = max(
                    local.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC).replace(tzinfo=None)
                    for fold in (0, 1)
                )
            if row[key] in held and held[row[key]] != (local, utc):
                found.append(f"{sheet} {row[key]}: {held[row[key]]} where {(local, utc)} was said")
    return found


def unaccounted_rows(world: Bronze, warehouse: Warehouse) -> list[str]:
    """Every record is in silver or named as left out, but Airtable's: all; every attendee is a ticket."""
    found = []
    left_out = defaultdict(set)
    for row in warehouse.rows("select * from silver.data_issues where severity = 'left_out'"):
        left_out[row["table_name"]].add((row["file"], row["line"]))
    kept = {
        "artists": "silver.artists where source = 'sheets'",
        "venues": "silver.venue_links where source = 'sheets'",
        "events": "silver.int_sheets__event_keys",
        "tickets": "silver.tickets where source = 'sheets'",
        "checkins": "silver.checkins where source = 'sheets'",
        "campaigns": "silver.campaigns where source = 'sheets'",
    }
    assert set(kept) < set(SHEETS)
    for sheet, rows in kept.items():
        records = len(world.tables[f"bronze_sheets.{sheet}"])
        count = warehouse.rows(f"select count(*) as n from {rows}")[0]["n"]
        if records != count + len(left_out[sheet]):
            found.append(
                f"{sheet}: {records} records, {count} kept, {len(left_out[sheet])} named as left out"
            )
    attendees = len(world.tables["bronze_eventbrite.attendees"])
    tickets = warehouse.rows("select count(*) as n from silver.tickets where source = 'eventbrite'")[0]["n"]
    if attendees != tickets:
        found.append(f"{attendees} attendees are {tickets} tickets")
    for role, rows in {
        "artist": "silver.artists where source = 'airtable'",
        "venue": "silver.venue_links where source = 'airtable'",
        "event": "silver.int_airtable__event_keys",
        "campaign": "silver.campaigns where source = 'airtable'",
    }.items():
        records = len(oracle.records(world.tables, role))
        count = warehouse.rows(f"select count(*) as n from {rows}")[0]["n"]
        if records != count:
            found.append(f"Airtable has {records} records as {role}, {count} are kept")
    return found


def unaccounted_sheet_money(world: Bronze, warehouse: Warehouse) -> list[str]:
    """Prices in bronze = prices in gold + prices of records named as left out + what was never paid."""
    lines = {
        row["line"]
        for row in warehouse.rows(
            "select line from silver.data_issues where severity = 'left_out' and table_name = 'tickets'"
        )
    }
    held = left_out = unpaid = Decimal(0)
    for row in world.tables["bronze_sheets.tickets"]:
        price = oracle._number(oracle._present(row["price_paid"])) or Decimal(0)
        held += price
        if row["_line"] in lines:
            left_out += price
        elif row["status"] == "unpaid":
            unpaid += price
    gold = _sum(warehouse, "select sum(gross_revenue) as n from gold.event_money") - _sum(
        warehouse, _GROSS_OF_EVENTBRITE
    )
    if held != gold + left_out + unpaid:
        return [f"sheets hold {held}; gold {gold}, left out {left_out}, unpaid {unpaid}"]
    return []


def unaccounted_order_money(world: Bronze, warehouse: Warehouse) -> list[str]:
    """What an order costs today = what its tickets and its item brought less what was given back.

    An order that cannot be told apart so is named in data_issues.
    """
    left: dict[str | None, Decimal] = defaultdict(Decimal)
    for table in ("tickets", "order_items"):
        for row in warehouse.rows(
            f"select order_id, sum(gross_amount - refunds_amount) as amount from silver.{table} "
            "where source = 'eventbrite' group by order_id"
        ):
            left[row["order_id"]] += row["amount"]
    named = {
        row["record_key"]
        for row in warehouse.rows(
            "select record_key from silver.data_issues "
            "where table_name = 'orders' and column_name = 'costs.gross'"
        )
    }
    found = []
    for row in world.tables["bronze_eventbrite.orders"]:
        payload = json.loads(row["payload"])
        gross = payload["costs"]["gross"]
        held = oracle.major(gross["value"], gross["currency"].upper())
        if str(payload["status"]).lower() in oracle.UNPAID:
            held = Decimal(0)
        if held != left[row["id"]] and row["id"] not in named:
            found.append(f"order {row['id']} holds {held}, gold has {left[row['id']]} left of it")
    total = _sum(
        warehouse,
        "select sum(gross_revenue - refunds_amount) as n from gold.event_money",
    ) - _sum(warehouse, _LEFT_OF_SHEETS)
    if total != sum(left.values()):
        found.append(f"silver has {sum(left.values())} left, gold {total}")
    return found


def _sum(warehouse: Warehouse, query: str) -> Decimal:
    return warehouse.rows(query)[0]["n"] or Decimal(0)
