"""Killed at any call, or left without an answer: the next run ends where an uninterrupted one does."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from boxoffice.airtable_api import Client, Unanswered, Unavailable
from tests.python.reverse_etl.conftest import World, count, sale

TABLES = ("Venues", "Events", "Sales")


class Killed(BaseException):
    """What nothing catches, like a kill."""


def killing(at: int, when: str) -> Callable[..., Client]:
    """Makes clients that are killed at a call: before it is sent, or when its answer has come."""

    class Killer(Client):
        def _once(self, request: Any) -> Any:
            is_now = self.calls == at
            if is_now and when == "before":
                raise Killed
            answer = super()._once(request)
            if is_now:
                raise Killed
            return answer

    return Killer


def state(world: World) -> dict[str, Any]:
    """What the base holds, records told by our key, each once, and how many there are of none of ours."""
    found: dict[str, Any] = {}
    for table in TABLES:
        rows = world.records(table).values()
        ours = [each for each in rows if "boxoffice key" in each]
        found[table] = {each["boxoffice key"]: _in_order(each) for each in ours}
        assert len(found[table]) == len(ours), f"a key twice in {table}"
        found[f"others in {table}"] = len(rows) - len(ours)
    return found


def _in_order(cells: dict[str, Any]) -> dict[str, Any]:
    # The other side of a link is listed as the links were made.
    return {name: sorted(cell) if isinstance(cell, list) else cell for name, cell in cells.items()}


@pytest.fixture
def half_way(world: World) -> Callable[[], World]:
    """Puts back, each time, a base and an ops file that were in step, and models that have moved on since:
    some twelve batches of every kind are to be written."""
    world.policies = {"on_delete": "delete", "max_delete_share": "1"}
    world.has("venues", ("v1", "Marble House", "Oslo", 300))
    world.has("events", *(event(place, "v1", 1) for place in range(15)))
    world.has("sales", *(sale(place, f"e{place % 15}") for place in range(25)))
    world.sync(bootstraps=True)
    world.by_hand("create", "Venues", fields={"Venue": "SIGNAL  yard", "Capacity": 5})
    new = ("v2", "Signal Yard", "Rome", 90), ("v3", "Pier", None, 1)
    world.has("venues", ("v1", "Marble Hall", "Oslo", 300), *new)
    world.has("events", *(event(place, f"v{place % 3 + 1}", 2) for place in range(27)))
    sold = [(*sale(place, f"e{place}")[:2], "Someone else", None) for place in range(10, 24)]
    world.has("sales", *sold, *(sale(place, f"e{place % 27}") for place in range(30, 52)))
    world.stand_in.call("PUT", "/snapshots/half_way")
    kept = world.folder / "kept.sqlite"
    shutil.copy(world.ops_path, kept)

    def put_back() -> World:
        world.stand_in.call("POST", "/snapshots/half_way")
        world.stand_in.call("DELETE", "/airtable/faults")
        for each in world.folder.glob("ops.sqlite*"):
            each.unlink()
        shutil.copy(kept, world.ops_path)
        world.client_of = Client
        return world

    return put_back


def event(place: int, venue: str, sold: int) -> tuple[Any, ...]:
    return (f"e{place}", f"Event {place}", venue, "live", "2027-03-05 19:00:00", sold, "10.50", False)


@pytest.fixture
def uninterrupted(half_way: Callable[[], World]) -> tuple[dict[str, Any], int]:
    """The state that a run ends in which nothing disturbs, and its calls."""
    world = half_way()
    outcome = world.sync()
    assert count(outcome) == {"create": 1 + 12 + 22, "adopt": 1, "update": 1 + 15 + 14, "delete": 11}
    assert world.writes == 1 + 1 + 1 + 2 + 2 + 3 + 2 + 2
    calls = world.calls()
    return state(world), calls


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_call(
    half_way: Callable[[], World], uninterrupted: tuple[dict[str, Any], int], when: str
) -> None:
    wanted, calls = uninterrupted
    assert calls == 14 + 2
    for at in range(calls):
        world = half_way()
        world.client_of = killing(at, when)
        with pytest.raises(Killed):
            world.sync()
        world.client_of = Client
        done = world.writes
        world.sync()
        # What the killed run did is not done again, but for the batch that was in doubt.
        assert done + world.writes <= 14 + 1, at
        assert state(world) == wanted, at
        world.sync()
        assert world.calls() == world.calls("schema") == 1, at
        assert world.ops("select count(*) from journal where state = 'sent'") == [(0,)]


ODD = [
    pytest.param(fault, marks=pytest.mark.slow)
    for fault in ("server_error", "unavailable", "cut", "not_json")
]


@pytest.mark.parametrize("fault", ["drop", "apply_then_drop", *ODD])
def test_without_an_answer_at_every_call(
    half_way: Callable[[], World], uninterrupted: tuple[dict[str, Any], int], fault: str
) -> None:
    wanted, calls = uninterrupted
    for at in range(calls):
        for is_applied in (False, True) if fault in ("server_error", "unavailable", "not_json") else (False,):
            world = half_way()
            world.fault(fault, after=at, times=1, **({"applied": True} if is_applied else {}))
            world.sync()
            assert state(world) == wanted, (at, is_applied)


def test_a_deleted_ops_file_makes_no_duplicates(
    half_way: Callable[[], World], uninterrupted: tuple[dict[str, Any], int]
) -> None:
    world = half_way()
    world.ops_path.unlink()
    world.sync()
    assert state(world) == uninterrupted[0]
    world.ops_path.unlink()
    world.sync()
    # Nobody knows any more which cells of the adopted venue were people's.
    assert world.writes == 1
    world.sync()
    assert world.calls() == 1


def test_a_deleted_ops_file_and_a_lost_answer(
    half_way: Callable[[], World], uninterrupted: tuple[dict[str, Any], int]
) -> None:
    """The worst of both: what was made is known to nobody."""
    world = half_way()
    world.client_of = killing(8, "after")
    with pytest.raises(Killed):
        world.sync()
    for each in world.folder.glob("ops.sqlite*"):
        each.unlink()
    world.client_of = Client
    world.sync()
    found, (wanted, _) = state(world), uninterrupted
    # Nobody knows any more which cells of the adopted venue were people's.
    assert found["Venues"].pop("v2").keys() == wanted["Venues"].pop("v2").keys() | {"Venue"}
    assert found == wanted


@pytest.mark.parametrize("fault", [None, "drop", "apply_then_drop"])
def test_rows_whose_keys_are_given_anew_keep_their_records(loaded: World, fault: str | None) -> None:
    """As where the warehouse was lost with the ops file, and one of the base's rows is a source by then."""
    halls = [("h1", "The Arena", "Oslo", 5), ("h2", "The Arena", "Bergen", 5), ("h3", "Barn", None, None)]
    for hall in halls:
        loaded.sql("insert into sync.sync_airtable__venues values (?, ?, ?, ?)", hall)
    loaded.sync()
    before = set(loaded.records("Venues"))
    loaded.ops_path.unlink()
    loaded.sql("update sync.sync_airtable__venues set venue_key = 'new ' || venue_key")
    loaded.sql("update sync.sync_airtable__events set venue_key = 'new ' || venue_key")
    if fault:
        loaded.fault(fault, method="PATCH", times=1)
        loaded.client_of = lambda *words, **options: Client(*words, **{**options, "attempts": 1})
        with pytest.raises(Unavailable):
            loaded.sync()
        loaded.client_of = Client
    plan = loaded.plan()
    assert [(len(each.creates), len(each.updates)) for each in plan.plans] == [(0, 5), (0, 0), (0, 0)]
    loaded.policies = {"on_delete": "delete", "max_delete_share": "1"}
    loaded.sync()
    assert loaded.writes == 1
    assert set(loaded.records("Venues")) == before
    cities = {"new v1": "Oslo", "new v2": None, "new h1": "Oslo", "new h2": "Bergen", "new h3": None}
    assert loaded.rows("Venues", "City") == cities
    assert loaded.rows("Events", "Venue")["e1"] == ["new v1"]
    loaded.sync()
    assert loaded.calls() == 1


def test_rows_that_were_made_without_an_answer_are_not_written_again(loaded: World) -> None:
    loaded.sql("insert into sync.sync_airtable__events (event_key) values ('e7'), ('e8')")
    loaded.client_of = killing(1, "after")
    with pytest.raises(Killed):
        loaded.sync()
    loaded.client_of = Client
    loaded.sync()
    assert (loaded.calls("list"), loaded.writes) == (1, 0)
    assert len(loaded.rows("Events", "Event")) == 5


def test_keys_are_found_again_whatever_they_are_made_of(loaded: World) -> None:
    keys = ["it's", 'say "so"', "back\\slash", "ünï 🎟", "{Event}", "a,b", "E1 ", "two\nlines", "%41", "'"]
    for key in keys:
        loaded.sql("insert into sync.sync_airtable__sales values (?, 'e1', 'x', null)", [key])
    loaded.client_of = killing(1, "after")
    with pytest.raises(Killed):
        loaded.sync()
    loaded.client_of = Client
    loaded.sync()
    assert (loaded.calls("list"), loaded.writes) == (1, 0)
    assert len(loaded.rows("Sales", "Buyer")) == 4 + len(keys) - 2
    unsound = {key for key, (_, rule, _) in loaded.rejected().items() if rule == "key"}
    assert unsound == {"E1 ", "two\nlines"}


def test_what_lands_after_its_answer_was_lost_is_not_made_twice(loaded: World) -> None:
    landing = [{"boxoffice key": "e7"}]

    def sleep(seconds: float) -> None:
        if landing:
            loaded.by_hand("create", "Events", fields=landing.pop())

    loaded.client_of = lambda *words, **options: Client(*words, **{**options, "sleep": sleep})
    loaded.sql("insert into sync.sync_airtable__events (event_key) values ('e7')")
    loaded.fault("drop", method="POST", times=1)
    loaded.sync()
    assert loaded.calls("create") == 1
    assert sorted(loaded.rows("Events", "Event")) == ["e1", "e2", "e3", "e7"]


def test_a_change_taken_back_while_its_answer_was_lost(loaded: World) -> None:
    loaded.sql("update sync.sync_airtable__events set tickets_sold = 13 where event_key = 'e1'")
    loaded.client_of = killing(1, "after")
    with pytest.raises(Killed):
        loaded.sync()
    assert loaded.rows("Events", "Tickets sold")["e1"] == 13
    loaded.sql("update sync.sync_airtable__events set tickets_sold = 12 where event_key = 'e1'")
    loaded.client_of = Client
    loaded.sync()
    assert loaded.rows("Events", "Tickets sold")["e1"] == 12


@pytest.mark.parametrize("fault", ["drop", "apply_then_drop"])
def test_tables_are_made_once_although_no_answer_came(world: World, fault: str) -> None:
    for at in range(3):
        world.fault(fault, path="meta", method="POST", after=at)
    for _ in range(6):
        try:
            world.sync(bootstraps=True)
            break
        except Unanswered:
            continue
    assert sorted(world.tables()) == sorted(TABLES)
    assert world.sync(bootstraps=True).made == []
