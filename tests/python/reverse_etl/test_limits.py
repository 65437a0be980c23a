"""Polite and thrifty: pacing, the 30 s rule, the monthly cap, the budget, and 50,000 rows."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from boxoffice import ops
from boxoffice.airtable_api import BudgetSpent, Client, MonthSpent
from reverse_etl.airtable import DESTINATION, Schema
from reverse_etl.journal import Journal
from tests.python.reverse_etl.conftest import BASE, World, count

START = datetime(2027, 3, 1, 12, tzinfo=UTC).timestamp()


class Clock:
    """Time that passes by sleeping only, in the client as in the stand-in."""

    def __init__(self, world: World) -> None:
        self.world, self.now, self.slept = world, START, []
        world.stand_in.set_clock("2027-03-01T12:00:00Z")

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.world.stand_in.advance(float(seconds))

    def client(self, *words: Any, **options: Any) -> Client:
        options |= {"per_second": 4.5, "sleep": self.sleep, "clock": lambda: self.now}
        return Client(*words, **options)


@pytest.fixture
def many(world: World) -> World:
    """150 venues to make: 15 batches."""
    world.sync(bootstraps=True)
    world.has("venues", *((f"v{place:03}", f"Hall {place}", None, place) for place in range(150)))
    return world


def test_at_most_five_calls_in_any_second(many: World) -> None:
    many.settings(mode="strict")
    clock = Clock(many)
    many.client_of = clock.client
    many.sync()
    log = many.stand_in.call("GET", "/airtable/requests")
    assert log["peak"] <= 5
    assert {each["status"] for each in log["requests"]} == {200}
    assert 16 / 5 < clock.now - START < 17 / 4


def test_a_429_pauses_thirty_seconds_and_nothing_is_sent_twice(many: World) -> None:
    clock = Clock(many)
    many.client_of = clock.client
    many.fault("rate_limit", method="POST", after=3)
    many.sync()
    assert 30.0 in clock.slept
    assert len(many.rows("Venues", "Venue")) == 150
    assert many.calls("list") > 0


def test_the_monthly_cap_stops_with_the_work_kept(many: World) -> None:
    many.fault("billing_limit", method="POST", path="Venues|tbl", after=6)
    with pytest.raises(MonthSpent, match="What was written before stays"):
        many.sync()
    assert many.calls("create") <= 8
    many.stand_in.call("DELETE", "/airtable/faults")
    many.sync()
    assert len(many.rows("Venues", "Venue")) == 150


def test_the_budget_stops_with_the_work_kept(many: World) -> None:
    with pytest.raises(BudgetSpent):
        many.sync(budget=7)
    assert many.calls() == 7
    assert many.client is not None
    assert many.client.calls == 7
    done = many.calls("create")
    many.sync()
    assert many.calls("create") == 15 - done
    assert len(many.rows("Venues", "Venue")) == 150


def test_the_budget_counts_what_the_run_has_read_before(many: World) -> None:
    many.client_of = lambda *words, **options: Client(*words, **{**options, "spent": 95})
    with pytest.raises(BudgetSpent, match="allows 100 calls"):
        many.sync(budget=100)
    assert many.calls() == 5


def test_one_changed_row_of_50000_is_one_write_call_and_little_work(world: World) -> None:
    world.models = [each for each in world.models if each.thing == "venues"]
    world.sync(bootstraps=True)
    record = world.by_hand("create", "Venues", fields={"boxoffice key": "v31415", "Capacity": 31415})
    world.sql(
        "insert into sync.sync_airtable__venues"
        " select 'v' || i, 'Hall ' || i, 'City ' || i % 100, i from range(50000) as rows(i)"
    )
    pretend_sent(world, {"v31415": record})
    world.sync()
    assert world.calls() == 1
    world.sql("update sync.sync_airtable__venues set capacity = 7 where venue_key = 'v31415'")
    started = time.process_time()
    world.sync()
    assert time.process_time() - started < 2, "sets, not rows"
    assert [each["does"] for each in world.requests] == ["schema", "update"]
    assert world.records("Venues") == {record: {"boxoffice key": "v31415", "Capacity": 7}}


def pretend_sent(world: World, records: dict[str, str]) -> None:
    """As if every row had been sent; of 50,000 the stand-in holds these only, by key."""
    (plan,) = world.plan().plans
    assert len(plan.creates) == 50_000
    with ops.opened(world.ops_path) as store:
        rows = [
            replace(change.row, record=records.get(change.key, f"rec{place:014}"))
            for place, change in enumerate(plan.creates)
        ]
        Journal(store, DESTINATION, BASE, 1).keep(plan.bound.table_id, rows)


def test_five_runs_leave_the_counts_as_they_are(many: World) -> None:
    many.sync()
    for _ in range(5):
        assert count(many.sync()) == {}
        assert many.writes == 0
    assert len(many.records("Venues")) == 150


def test_a_schema_that_is_kept_is_asked_for_once_an_hour_and_after_a_refusal(loaded: World) -> None:
    now = 0.0
    loaded.schema = Schema(clock=lambda: now)

    def asked(change: str) -> list[str]:
        loaded.sql(f"update sync.sync_airtable__venues set {change} where venue_key = 'v1'")
        loaded.sync()
        return [each["does"] for each in loaded.requests]

    assert asked("capacity = 11") == ["schema", "update"]
    assert asked("capacity = 12") == ["update"]
    assert asked("capacity = 12") == []
    now = 3599.0
    assert asked("capacity = 13") == ["update"]
    now = 3600.0
    assert asked("capacity = 14") == ["schema", "update"]
    loaded.by_hand("delete_field", "Venues", field="Capacity")
    assert "update" in asked("capacity = 15")
    # It is told of what is missing once Airtable refused it; then the base is looked at again.
    assert asked("capacity = 16") == ["schema"]
