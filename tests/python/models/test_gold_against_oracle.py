"""Gold equals the plain Python account of it, and no money is lost, on worlds wilder than any real one."""

import json
import os
from collections import defaultdict
from decimal import Decimal

import pytest

from tests.python.models import oracle, wild
from tests.python.models.bronze import SHEETS, Bronze
from tests.python.models.compare import KEYS, differences, keyed
from tests.python.models.warehouse import AS_OF, Warehouse

# A seed that failed once stays. BOXOFFICE_SEEDS=100-120 tries others.
SEEDS = [1, 2, 3, 4]
if wanted := os.environ.get("BOXOFFICE_SEEDS"):
    low, _, high = wanted.partition("-")
    SEEDS = list(range(int(low), int(high or low) + 1))


@pytest.mark.parametrize("seed", SEEDS)
def test_gold_is_what_the_formulas_say_and_nothing_is_lost(seed, warehouse_of):
    world = wild.world(seed)
    warehouse = warehouse_of(world)
    # Whatever the sources say, every data test holds: dirt goes to silver.data_issues.
    warehouse.build("--exclude-resource-type", "unit_test")

    expected = oracle.gold(world.tables, AS_OF)
    found = []
    for mart in KEYS:
        found += differences(mart, expected[mart], keyed(mart, warehouse.rows(f"gold.{mart}")))
    found += unaccounted_rows(world, warehouse)
    found += unaccounted_sheet_money(world, warehouse)
    found += unaccounted_order_money(world, warehouse)
    assert found == [], f"seed {seed}: {len(found)} differences, the first: " + "\n".join(found[:10])


def unaccounted_rows(world: Bronze, warehouse: Warehouse) -> list[str]:
    """Every record is in silver, or named as left out; every attendee is a ticket."""
    found = []
    left_out = defaultdict(set)
    for row in warehouse.rows("select * from silver.data_issues where severity = 'left_out'"):
        left_out[row["table_name"]].add((row["file"], row["line"]))
    kept = {
        "artists": "silver.artists",
        "venues": "silver.venue_links where source = 'sheets'",
        "events": "silver.known_events where source = 'sheets'",
        "tickets": "silver.tickets where source = 'sheets'",
        "checkins": "silver.checkins where source = 'sheets'",
        "campaigns": "silver.campaigns",
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
    gold = _sum(
        warehouse, "select sum(gross_revenue) as n from gold.event_money where event_key like 'sheets-%'"
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
        "select sum(gross_revenue - refunds_amount) as n from gold.event_money "
        "where event_key like 'eventbrite-%'",
    )
    if total != sum(left.values()):
        found.append(f"silver has {sum(left.values())} left, gold {total}")
    return found


def _sum(warehouse: Warehouse, query: str) -> Decimal:
    return warehouse.rows(query)[0]["n"] or Decimal(0)
