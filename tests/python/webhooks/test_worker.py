"""What the worker does with what the inbox has, by an injected clock: nothing is lost or holds up others."""

import itertools
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from boxoffice import lock, ops
from boxoffice.__main__ import Refreshed
from boxoffice.errors import BoxofficeError, CallError, LeftOff
from boxoffice.session import Session
from boxoffice.settings import Settings
from webhooks import inbox
from webhooks.inbox import Inbox, Notice, Pointer
from webhooks.worker import Worker

API = "https://www.eventbriteapi.com/v3"
Key = tuple[str, str]
FIRST, SECOND = ("order", "1"), ("order", "2")


@dataclass
class Clock:
    now: float = datetime(2027, 3, 1, 6, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@dataclass
class Hot:
    """Does nothing, and says of it what it should. asked: the ids of each refresh; owed: what it was told."""

    asked: list[list[str]] = field(default_factory=list)
    owed: list[bool] = field(default_factory=list)
    caught_up: int = 0
    is_left: bool = False
    seconds: float = 0.0
    airtable: list[float] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    missing: set[Key] = field(default_factory=set)
    failed: dict[Key, tuple[str, int | None]] = field(default_factory=dict)
    crashes_on: set[str] = field(default_factory=set)
    closed_for: float | None = None
    changed_at: dict[Key, float] = field(default_factory=dict)
    problem: BoxofficeError | None = None
    trouble: BoxofficeError | None = None
    is_through: bool = True
    problems: list[BoxofficeError] = field(default_factory=list)
    is_caught_up: bool = True
    left_off: list[float] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def refresh(
        self, session: Session, wanted: list[Pointer], *, is_owed: bool, is_hurried: Callable[[], bool]
    ) -> Refreshed:
        self.clock.now += self.seconds
        self.asked.append([each.id for each in wanted])
        self.owed.append(is_owed)
        if self.trouble:
            raise self.trouble
        if self.crashes_on & set(self.asked[-1]):
            raise ZeroDivisionError
        keys = {(each.type, each.id) for each in wanted}
        self.is_left = is_hurried()
        if not self.is_left:
            self.airtable.append(self.clock.now)
        read = set() if self.closed_for else keys - self.missing - set(self.failed)
        with session.step("eventbrite") as step:
            step.changed = len(read)
        with session.step("sync civicrm") as step:
            step.status = "failed" if self.problems else "ok"
            for problem in self.problems:
                session.problem(step.name, problem)
        return Refreshed(
            read=read,
            missing=self.missing & keys,
            failed={key: why for key, why in self.failed.items() if key in keys},
            closed_for=self.closed_for,
            problem=self.problem,
            changed_at=self.changed_at,
            is_through=self.is_through,
        )

    def catch_up(self, session: Session, *, leaves_off: Callable[[], bool]) -> bool:
        for _ in range(10):
            self.clock.now += self.seconds / 10
            self.meanwhile()
            if leaves_off():
                self.left_off.append(self.clock.now)
                raise LeftOff
        self.caught_up += 1
        return self.is_caught_up


@dataclass
class World:
    settings: Settings
    box: Inbox
    hot: Hot
    clock: Clock
    worker: Worker

    def tell(self, *ids: str, at: float | None = None) -> None:
        bodies = [{"config": {"action": "order.updated"}, "api_url": f"{API}/orders/{each}/"} for each in ids]
        self.box.store([Notice(at or self.clock.now, {}, json.dumps(body).encode()) for body in bodies])

    def work(self, seconds: float) -> None:
        """Look as the worker does, for that long. What is due at the end is done."""
        until = self.clock.now + seconds
        while True:
            wait = self.worker.look()
            if wait is None or self.clock.now + wait > until:
                self.clock.now = max(self.clock.now, until)
                return
            self.clock.now += wait

    def rows(self, columns: str) -> list[tuple[Any, ...]]:
        with ops.opened_to_read(self.settings.ops_path) as connection:
            return connection.execute(f"select {columns} from inbox order by notice_id").fetchall()

    @property
    def states(self) -> dict[str, int]:
        return self.box.counts()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    settings = Settings(
        as_of=datetime(2027, 3, 1, 6, tzinfo=UTC),
        warehouse_path=tmp_path / "boxoffice.duckdb",
        ops_path=tmp_path / "ops.sqlite",
        marts_path=tmp_path / "marts.duckdb",
        sheets_dir=tmp_path,
        mappings_dir=tmp_path,
        eventbrite_token="token",
    )
    inbox.prepare(settings)
    monkeypatch.setattr("webhooks.worker.LOCK_WAIT", 0.0)
    clock = Clock()
    hot = Hot(clock=clock)
    with inbox.opened(settings.ops_path, API, clock=clock) as box:
        yield World(settings, box, hot, clock, Worker(lambda: settings, box, hot, clock=clock))  # type: ignore[arg-type]


def test_notices_of_an_object_make_one_look_at_it(world: World) -> None:
    world.tell("1", "1", "2")
    world.work(0.4)
    assert world.hot.asked == []  # it settles first
    world.tell("1")
    world.work(5)
    assert sorted(world.hot.asked) == [["1"], ["2"]]
    assert world.states == {"done": 4}
    assert world.rows("run_id is not null") == [(1,)] * 4


def test_models_tests_and_publishing_follow_at_most_once_a_minute(world: World) -> None:
    for each in range(40):
        world.tell(str(each))
        world.work(3)
    assert world.hot.caught_up == 1
    world.work(600)
    assert world.hot.caught_up == 2
    assert world.worker.look() is None


def test_a_long_catching_up_takes_a_tenth_of_the_time_at_most(world: World) -> None:
    world.hot.seconds = 20.0
    began = world.clock.now
    for each in range(100):
        world.tell(str(each))
        world.work(3)
    share = 20.0 * world.hot.caught_up / (world.clock.now - began)
    assert 0.05 < share < 0.11


def test_catching_up_makes_way_for_a_notice_and_follows_later(world: World) -> None:
    world.tell("1")
    world.work(5)
    world.hot.seconds = 10.0
    told = [world.clock.now + 60]

    def meanwhile() -> None:
        if told and world.clock.now >= told[0]:
            world.tell("2", at=told.pop())

    world.hot.meanwhile = meanwhile
    world.work(75)
    (left_off,) = world.hot.left_off
    assert (world.hot.asked, world.hot.caught_up) == ([["1"], ["2"]], 0)
    assert world.states == {"done": 2}
    world.work(120)
    assert world.hot.caught_up == 1
    assert left_off + 60 <= world.clock.now
    with ops.opened_to_read(world.settings.ops_path) as connection:
        assert connection.execute("select distinct status from runs").fetchall() == [("ok",)]


def test_with_notices_that_never_pause_catching_up_is_through_every_few_minutes(world: World) -> None:
    world.hot.seconds = 2.0
    keys = itertools.count()
    world.hot.meanwhile = lambda: world.tell(str(next(keys)))
    began = world.clock.now
    while world.clock.now < began + 1500:
        world.tell(str(next(keys)))
        world.work(1)
    assert 3 <= world.hot.caught_up <= 5
    assert len(world.hot.left_off) > 5


def test_the_first_batch_brings_on_what_a_killed_worker_may_have_left(world: World) -> None:
    world.tell("1")
    world.work(5)
    world.tell("2")
    world.work(5)
    assert world.hot.owed == [True, False]


def test_airtable_waits_for_notices_that_are_due_and_not_for_long(world: World) -> None:
    began = world.clock.now
    for each in range(30):  # they come by twos a second, and a refresh takes three
        world.tell(str(each), at=began + each / 2)
    world.hot.seconds = 3.0
    world.work(40)
    assert world.states == {"done": 30}
    assert len(world.hot.asked) > len(world.hot.airtable) >= 2
    gaps = [after - before for before, after in itertools.pairwise([began, *world.hot.airtable])]
    assert max(gaps) < 20
    assert not world.hot.is_left


def test_what_is_not_shown_yet_is_looked_for_over_five_minutes(world: World) -> None:
    world.hot.missing = {FIRST}
    world.tell("1", "2")
    world.work(200)
    assert world.states == {"new": 1, "done": 1}
    assert len(world.hot.asked) > 5
    world.hot.missing = set()
    world.work(100)
    assert world.states == {"done": 2}
    assert world.rows("error")[0] == (None,)


def test_what_is_never_shown_is_left_to_the_next_run(world: World) -> None:
    world.hot.missing = {FIRST}
    world.tell("1")
    world.work(400)
    assert world.states == {"done": 1}
    assert "five minutes" in world.rows("error")[0][0]
    assert len(world.hot.asked) < 15


def test_a_version_from_before_its_notice_is_looked_at_again(world: World) -> None:
    world.hot.changed_at = {FIRST: world.clock.now - 3600, SECOND: world.clock.now - 2}
    world.tell("1", "2")
    world.work(5)
    assert world.states == {"new": 1, "done": 1}
    world.hot.changed_at = {FIRST: world.clock.now}
    world.work(20)
    assert (world.hot.asked, world.states) == ([["1", "2"], ["1"]], {"done": 2})


def test_what_stays_old_is_taken_for_right(world: World) -> None:
    world.hot.changed_at = {FIRST: world.clock.now - 3600}
    world.tell("1")
    world.work(600)
    assert (world.hot.asked, world.states) == ([["1"]] * 3, {"done": 1})


def test_a_spent_budget_holds_the_whole_queue_and_costs_no_attempt(world: World) -> None:
    world.hot.closed_for = 1800.0
    world.tell("1", "2")
    world.work(1700)
    world.tell("3")
    world.work(90)
    assert world.hot.asked == [["1", "2"]]
    world.hot.closed_for = None
    world.work(60)
    assert world.states == {"done": 3}
    assert world.rows("attempts") == [(0,)] * 3


def test_eventbrite_down_for_ten_minutes_is_told_once_and_costs_no_notice(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "webhooks")
    world.hot.closed_for, world.hot.problem = 30.0, BoxofficeError("Eventbrite did not answer.")
    for each in range(20):
        world.tell(str(each))
        world.work(30)
    assert world.states == {"new": 20}
    world.hot.closed_for = world.hot.problem = None
    world.work(40)
    assert world.states == {"done": 20}
    said = [record.message for record in caplog.records]
    assert said[:2] == [
        "Eventbrite did not answer. Notices wait until it answers again.",
        "Eventbrite answers again.",
    ]
    assert all(message.startswith("Looked at") for message in said[2:])
    # What the worker before may have left is brought on at once; then there is nothing new to build.
    assert world.hot.caught_up == 1


def test_what_fails_again_and_again_is_parked_and_holds_nobody_up(world: World) -> None:
    world.hot.failed = {FIRST: ("Eventbrite did not answer.", 7)}
    world.tell("1", "2")
    world.work(2)
    assert world.states == {"new": 1, "done": 1}
    world.work(600)
    assert world.states == {"parked": 1, "done": 1}
    assert world.rows("error, api_error_id")[0] == ("Eventbrite did not answer.", 7)
    assert sum("1" in ids for ids in world.hot.asked) == 5


def test_an_object_that_crashes_the_work_is_found_and_parked(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.hot.crashes_on = {"2"}
    world.tell("1", "2", "3")
    with caplog.at_level(logging.CRITICAL):
        world.work(1500)
    assert world.states == {"done": 2, "parked": 1}


def test_trouble_with_the_machine_loses_nothing_and_is_told_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.hot.trouble = BoxofficeError("The disk is full.", "Free some space.")
    world.tell("1")
    world.work(600)
    assert world.states == {"new": 1}
    said = ["Notices wait: The disk is full. Free some space."]
    assert [each.message for each in caplog.records] == said
    world.hot.trouble = None
    world.work(240)
    assert world.states == {"done": 1}
    assert world.hot.owed[-1]  # what the failed ones landed is brought on


def test_a_warehouse_that_is_held_is_told_once_and_costs_one_look(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "webhooks")
    duckdb.connect(str(world.settings.warehouse_path)).close()
    world.tell("0")
    world.work(5)
    world.hot.trouble = BoxofficeError("It is open in another program.", "Close it.")
    hold = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(world.settings.warehouse_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline()
        world.tell("1", "2")
        world.work(600)
        assert world.hot.asked == [["0"], ["1", "2"]]
        other.stdin.close()
        other.wait()
    world.hot.trouble = None
    world.work(60)
    assert world.states == {"done": 3}
    said = [record.message for record in caplog.records if not record.message.startswith("Looked at")]
    assert [said[0], said[-1]] == [
        "Notices wait: It is open in another program. Close it.",
        "Notices are worked on again.",
    ]
    # Which program it is, is known once it was looked at.
    assert len(said) <= 3


def test_trouble_that_is_met_late_is_tried_ever_more_seldom(world: World) -> None:
    world.hot.trouble = BoxofficeError("The disk is full.", "Free some space.")
    world.tell("1")
    world.work(1200)
    assert len(world.hot.asked) == 7
    world.hot.trouble = None
    world.work(240)
    assert world.states == {"done": 1}


def test_a_destination_that_is_away_is_told_of_once_and_when_it_is_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "webhooks")
    for each in range(5):
        world.hot.problems = [CallError(f"The site did not answer call {each}.", f"(API error {each}.)")]
        world.tell(str(each))
        world.work(60)
    refused = BoxofficeError("An order cannot be written.", "Mend it.")
    for problems in ([refused], [refused], [refused, BoxofficeError("Two more.")], [], []):
        world.hot.problems = problems
        world.tell("1")
        world.work(60)
    said = [record.message for record in caplog.records if not record.message.startswith("Looked at")]
    assert said == [
        "sync civicrm: The site did not answer call 0. (API error 0.)",
        "sync civicrm: An order cannot be written. Mend it.",
        "sync civicrm: it answers again.",
        "sync civicrm: Two more.",
        "sync civicrm: all is well again.",
    ]


def test_a_run_at_work_is_waited_for(world: World) -> None:
    started, may_end = threading.Event(), threading.Event()

    def run() -> None:
        with lock.held(world.settings.lock_path, "run", wait_seconds=0):
            started.set()
            may_end.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    started.wait(10)
    world.tell("1")
    world.work(30)
    assert (world.hot.asked, world.states) == ([], {"new": 1})
    may_end.set()
    thread.join()
    world.work(5)
    assert world.states == {"done": 1}


def test_the_lock_is_free_for_a_while_whatever_wakes_the_worker(world: World) -> None:
    world.tell("1")
    world.tell("2", at=world.clock.now + 0.2)
    world.clock.now += 0.5
    wait = world.worker.look()
    world.clock.now += 0.2
    assert world.worker.look() == pytest.approx(0.1)  # woken by a notice, and the second is due
    assert world.hot.asked == [["1"]]
    world.clock.now += wait or 0
    world.worker.look()
    assert world.hot.asked == [["1"], ["2"]]


def test_an_older_ops_file_has_destinations_read_again_once(world: World) -> None:
    with ops.opened(world.settings.ops_path) as store:
        run_id = store.begin_run("run", world.settings.as_of, is_sandbox=False)
        ops.copy_to_warehouse(store, world.settings.warehouse_path)
        with store.connection as connection:
            connection.execute("delete from runs where run_id = ?", (run_id,))
            binding = ("airtable", "app1", "sync_airtable__venues", "", "Venues", "tbl1", "2027-03-01", 1)
            connection.execute("insert into bindings values (?, ?, ?, ?, ?, ?, ?, ?)", binding)

    def reconciled_at(told: str) -> str | None:
        world.tell(told)
        world.work(5)
        with ops.opened_to_read(world.settings.ops_path) as connection:
            return connection.execute("select reconciled_at from bindings").fetchone()[0]

    assert reconciled_at("1") is None
    with ops.opened(world.settings.ops_path) as store, store.connection as connection:
        connection.execute("update bindings set reconciled_at = '2027-03-01'")
    assert reconciled_at("2") is not None
    assert world.states == {"done": 2}


def test_a_destination_that_takes_nothing_is_asked_again_ever_more_seldom(world: World) -> None:
    world.hot.is_through = world.hot.is_caught_up = False
    world.tell("1")
    world.work(1)
    assert world.hot.caught_up == 1
    world.work(900)
    assert world.hot.caught_up == 5
    world.hot.is_caught_up = True
    world.work(3600)
    assert world.hot.caught_up == 6
    world.hot.is_through = True
    world.tell("2")
    world.work(5)
    assert world.hot.owed == [True, False]


def test_who_was_away_for_ten_minutes_is_asked_again_within_ten_more(world: World) -> None:
    world.hot.is_through = world.hot.is_caught_up = False
    for each in range(10):  # each hastens it
        world.tell(str(each))
        world.work(60)
    before = world.hot.caught_up
    world.hot.is_caught_up = True
    world.work(630)
    assert world.hot.caught_up == before + 1
    assert world.worker.look() is None
