"""A plan writes nothing and is exactly what the sync that follows does."""

from collections import Counter
from typing import Any

import pytest

from reverse_etl.airtable import Outcome
from tests.python.reverse_etl.conftest import World, count, sale


def planned(outcome: Outcome) -> dict[str, int]:
    found: Counter[str] = Counter()
    for plan in outcome.plans:
        found.update(change.kind for change in (*plan.creates, *plan.adopts, *plan.updates))
        found["delete"] += len(plan.deletes)
    return {kind: rows for kind, rows in found.items() if rows}


def sent(world: World) -> list[tuple[str, Any]]:
    """What the stand-in was told to do to records: each row and its cells."""
    found = []
    for each in world.requests:
        if each["does"] in ("create", "update"):
            found += [(each["does"], tuple(sorted(row["fields"]))) for row in each["body"]["records"]]
    return found


@pytest.fixture
def moved_on(loaded: World) -> World:
    """Every kind of change, and rows that are refused here."""
    loaded.policies = {"on_delete": "archive", "sales.on_delete": "delete", "max_delete_share": "0.5"}
    loaded.sync(bootstraps=True)
    loaded.by_hand("create", "Venues", fields={"Venue": "the PIER"})
    loaded.has(
        "venues",
        ("v1", "Marble Hall", "Oslo", 300),
        ("v2", "Signal Yard", None, None),
        ("v3", "The Pier", None, 9),
    )
    loaded.sql(
        "update sync.sync_airtable__events set tickets_sold = 99, venue_key = 'v3' where event_key = 'e1'"
    )
    loaded.sql("delete from sync.sync_airtable__events where event_key = 'e3'")
    loaded.sql(
        "insert into sync.sync_airtable__events (event_key, venue_key) values ('e4', 'v3'), ('e5', 'v9')"
    )
    loaded.has("sales", *(sale(place, "e4") for place in range(1, 30) if place != 2), sale(99, "e5"))
    return loaded


def test_a_plan_is_what_sync_does(moved_on: World) -> None:
    before = {table: moved_on.records(table) for table in ("Venues", "Events", "Sales")}
    plan = moved_on.plan()
    assert moved_on.writes == 0
    assert {table: moved_on.records(table) for table in before} == before
    assert planned(plan) == {"create": 1 + 26, "adopt": 1, "update": 1 + 1 + 2, "archive": 1, "delete": 2}
    refused = {each.key for table in plan.plans for each in table.rejections}
    assert refused == {"e5", "s99"}

    again = moved_on.plan()
    assert [each.calls for each in again.plans] == [each.calls for each in plan.plans]
    outcome = moved_on.sync()
    assert count(outcome) == planned(plan)
    assert moved_on.writes == sum(each.calls for each in plan.plans) == 2 + 2 + 5
    cells = Counter(
        ("create" if change.kind == "create" else "update", tuple(sorted(change.cells)))
        for table in plan.plans
        for change in (*table.creates, *table.adopts, *table.updates)
    )
    assert Counter(sent(moved_on)) == cells
    assert {key for key, (*_, is_resolved) in moved_on.rejected().items() if not is_resolved} == refused
    moved_on.sync()
    assert moved_on.writes == 0


def test_a_plan_tells_old_and_new(loaded: World) -> None:
    loaded.sql(
        "update sync.sync_airtable__events set tickets_sold = 13, starts_at = null where event_key = 'e1'"
    )
    (plan,) = [each for each in loaded.plan().plans if each.updates]
    (change,) = plan.updates
    named = {plan.bound.fields[each].name: (change.before[each], cell) for each, cell in change.cells.items()}
    assert named == {"Tickets sold": (12, 13), "Starts": ("2027-03-05T19:00:00.000Z", None)}
    assert (plan.calls, plan.seconds) == (1, 0.2)


def test_the_first_load_is_planned_after_bootstrap(world: World) -> None:
    world.has("venues", *((f"v{place}", f"Hall {place}", None, place) for place in range(25)))
    outcome = world.plan(bootstraps=True)
    assert outcome.made == [
        "table Venues with 4 fields",
        "table Events with 8 fields",
        "table Sales with 4 fields",
    ]
    assert [(each.bound.table, each.calls) for each in outcome.plans] == [
        ("Venues", 3),
        ("Events", 0),
        ("Sales", 0),
    ]
    assert world.calls("create_table") == world.writes == 3
    world.plan(bootstraps=True)
    # Venues are read, as people could have made one meanwhile.
    assert [each["does"] for each in world.requests] == ["schema", "list"]


def test_calls_are_tens_by_table_and_stage(world: World) -> None:
    world.sync(bootstraps=True)
    world.has("venues", *((f"v{place}", f"Hall {place}", None, place) for place in range(41)))
    world.sync()
    assert (world.calls("create"), world.writes) == (5, 5)
    world.sql("update sync.sync_airtable__venues set capacity = capacity + 1")
    world.sync()
    assert (world.calls("update"), world.writes) == (5, 5)
