"""Eventbrite to bronze: what lands, what is kept, what is marked, over real HTTP into a real warehouse."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from starlette.responses import Response

from boxoffice.settings import Settings
from ingest import eventbrite as source
from ingest.landing import SourceResult, payload_hash
from tests.python.ingest.eventbrite_server import (
    ORG,
    TOKEN,
    Drop,
    Eventbrite,
    Time,
    always,
    attendee,
    changed,
    error,
    event,
    moment,
    money,
    on,
    order,
    serving,
    small_world,
    ticket_class,
)

DAY = datetime(2027, 3, 1, 6, tzinfo=UTC)
OTHER = "700000000002"
TABLES = [name for name in source.TABLES if name != "listings"]

Pull = Callable[..., SourceResult]


def at(*when: int) -> datetime:
    """As bronze holds it: UTC, without zone."""
    return datetime(*when, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[misc,arg-type]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Eventbrite, str]]:
    eventbrite = Eventbrite()
    with serving(eventbrite) as url:
        yield eventbrite, url


@pytest.fixture
def eventbrite(server: tuple[Eventbrite, str]) -> Eventbrite:
    server[0].reset()
    return server[0]


def settings_in(folder: Path, url: str) -> Settings:
    return Settings(
        as_of=DAY,
        warehouse_path=folder / "boxoffice.duckdb",
        ops_path=folder / "ops.sqlite",
        marts_path=folder / "marts.duckdb",
        sheets_dir=folder,
        mappings_dir=folder,
        eventbrite_token=TOKEN,
        eventbrite_api_url=url,
    )


@pytest.fixture
def settings(server: tuple[Eventbrite, str], tmp_path: Path) -> Settings:
    return settings_in(tmp_path, server[1])


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def pull(eventbrite: Eventbrite, settings: Settings, time: Time) -> Pull:
    """Runs the source; `day` days later, with other settings where they are given."""

    def run(*, day: float = 0, full: bool = False, **others: Any) -> SourceResult:
        eventbrite.requests.clear()
        now = replace(settings, as_of=DAY + timedelta(days=day), **others)
        return source.load(now, full=full, sleep=time.sleep, clock=time)

    return run


@pytest.fixture(scope="module")
def first_pull(server: tuple[Eventbrite, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the first pull of the small world makes."""
    folder = tmp_path_factory.mktemp("first")
    server[0].reset()
    assert source.load(settings_in(folder, server[1])).status == "ok"
    return folder


@pytest.fixture
def loaded(first_pull: Path, tmp_path: Path, eventbrite: Eventbrite) -> None:
    """The small world was pulled before."""
    shutil.copytree(first_pull, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def rows(settings: Settings) -> Callable[[str], list[tuple[Any, ...]]]:
    def ask(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
            connection.execute("use bronze_eventbrite")
            return connection.execute(sql).fetchall()

    return ask


Rows = Callable[[str], list[tuple[Any, ...]]]


def everything(rows: Rows, *, without: str = "") -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but the columns that tell when."""
    left_out = f"landed_at{', ' + without if without else ''}"
    held = {name: rows(f"select * exclude ({left_out}) from {name} order by all") for name in TABLES}
    held["listings"] = rows("select organization_id, listing, watermark from listings order by all")
    return held


def world(eventbrite: Eventbrite) -> dict[str, list[Any]]:
    return eventbrite.objects[ORG]


def landed(result: SourceResult) -> dict[str, int]:
    return {table.table: table.landed for table in result.tables if table.landed}


# -- what lands


def test_every_object_lands_whole_with_its_keys(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    eventbrite.by_event["questions", "800000000001"] = [{"id": "job_title", "question": {"text": "Job?"}}]
    eventbrite.by_event["questions", "800000000002"] = [{"id": "job_title", "question": {"text": "Job?"}}]
    eventbrite.by_event["discounts", "800000000001"] = [
        {"id": "400", "code": "EARLY", "percent_off": "20.00"}
    ]
    result = pull()
    assert (result.status, result.problems) == ("ok", [])
    assert landed(result) == {
        "organizations": 1,
        "events": 2,
        "venues": 1,
        "ticket_classes": 2,
        "orders": 3,
        "attendees": 3,
        "questions": 2,
        "discounts": 1,
    }
    assert rows("select id, organization_id, venue_id, series_id, changed from events order by id") == [
        ("800000000001", ORG, "5000001", None, at(2027, 2, 1)),
        ("800000000002", ORG, "5000001", None, at(2027, 2, 1)),
    ]
    assert rows("select id, event_id, organization_id from ticket_classes order by id") == [
        ("300000001", "800000000001", ORG),
        ("300000002", "800000000002", ORG),
    ]
    assert rows("select event_id, id from questions order by 1") == [
        ("800000000001", "job_title"),
        ("800000000002", "job_title"),
    ]
    assert rows("select id, event_id, organization_id from discounts") == [("400", "800000000001", ORG)]
    ((payload, fingerprint, missing, when),) = rows(
        "select payload, payload_hash, missing_since, landed_at from orders where id = '10000000002'"
    )
    assert list(json.loads(payload).items()) == list(order(2).items())
    assert fingerprint == payload_hash(order(2)) == payload_hash({**order(2), "resource_uri": "elsewhere"})
    assert (missing, when) == (None, DAY.replace(tzinfo=None))


@pytest.mark.usefixtures("loaded")
def test_events_land_without_their_ticket_classes(pull: Pull, rows: Rows) -> None:
    assert rows("select count(*) from events where payload like '%ticket_classes%'") == [(0,)]


def test_what_is_asked_for(pull: Pull, eventbrite: Eventbrite) -> None:
    pull()
    (events,) = eventbrite.listed(f"{ORG}/events")
    assert events == {"status": "all", "expand": "ticket_classes", "page_size": "50"}
    assert eventbrite.listed("orders") == [{"expand": "refund_requests"}]
    assert eventbrite.listed("attendees") == [{"expand": "promotional_code"}]
    assert eventbrite.listed("discounts")[0] == {
        "scope": "event",
        "event_id": "800000000001",
        "page_size": "50",
    }


def test_odd_objects_land_all_the_same(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    odd = [
        {"id": "1"},
        attendee(2, profile={}, costs=None, answers=None),
        attendee(3, unheard_of={"of": [1, 2.5, None]}, status="Floating"),
        attendee(4, changed="soon", event_id=None, order_id=" "),
        attendee(5, id=99999999999999),
        attendee(6, id="I123"),
    ]
    world(eventbrite)["attendees"] = odd
    world(eventbrite)["venues"] = [{"id": "1"}, {"id": "2", "address": None, "name": None}]
    world(eventbrite)["events"] = [event(1, venue_id=None, online_event=True, ticket_classes=[]), {"id": "5"}]
    world(eventbrite)["events"][1]["ticket_classes"] = [ticket_class(1, cost=None, fee=None, free=True)]
    result = pull()
    assert result.status == "ok"
    assert rows("select id, order_id, event_id, changed is null from attendees order by id") == [
        ("1", None, None, True),
        ("20000000002", "10000000002", "800000000001", False),
        ("20000000003", "10000000003", "800000000001", False),
        ("20000000004", None, None, True),
        ("99999999999999", "10000000005", "800000000001", False),
        ("I123", "10000000006", "800000000001", False),
    ]
    # What has no time of change is no reason to write it again.
    assert landed(pull()) == {}


def test_what_has_no_id_is_left_out_and_said(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    world(eventbrite)["orders"] += [{"name": "nobody"}, None, {"id": ""}]
    result = pull()
    assert result.status == "partial"
    assert "3 orders without an id" in str(result.problems[0])
    assert rows("select count(*) from orders") == [(3,)]
    (orders,) = (table for table in result.tables if table.table == "orders")
    assert (orders.read, orders.landed, orders.rejected) == (6, 3, 3)


def test_a_listing_that_was_read_twice_is_counted_once(pull: Pull, eventbrite: Eventbrite) -> None:
    eventbrite.page_size = 2
    world(eventbrite)["orders"] += [order(1), {"name": "nobody"}]
    (orders,) = (table for table in pull().tables if table.table == "orders")
    assert len(eventbrite.listed("orders")) == 6, "fewer came than there are: begun again"
    assert (orders.read, orders.landed, orders.rejected) == (4, 3, 1)


def test_every_table_is_there_whatever_happens(
    pull: Pull, eventbrite: Eventbrite, settings: Settings, rows: Rows
) -> None:
    result = pull(eventbrite_token=None)
    assert result.status == "skipped"
    assert "EVENTBRITE_TOKEN is not set" in result.notes[0]
    columns = {
        name: [column for (column,) in rows(f"select column_name from (describe {name})")]
        for name in source.TABLES
    }
    assert columns == {name: schema.names for name, schema in source.TABLES.items()}
    assert eventbrite.requests == []


def test_an_empty_organization_is_no_trouble(pull: Pull, eventbrite: Eventbrite) -> None:
    eventbrite.objects[ORG] = {}
    assert pull().status == "ok"
    assert landed(pull()) == {}


# -- what changed


@pytest.mark.usefixtures("loaded")
def test_with_nothing_new_two_requests_a_listing_and_no_load(
    pull: Pull, eventbrite: Eventbrite, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.landing.land", lambda *any_: pytest.fail("something was loaded"))
    result = pull(day=0.5)
    assert (result.status, landed(result)) == ("ok", {})
    assert result.requests == len(eventbrite.requests) == 5
    assert eventbrite.listed("orders") == [
        {"expand": "refund_requests", "changed_since": "2027-01-31T23:53:00Z"}
    ]


@pytest.mark.usefixtures("loaded")
def test_a_refund_replaces_the_order_and_keeps_both_versions(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    refunded = changed(order(2), 600, status="refunded", costs={"gross": money(0)})
    world(eventbrite)["orders"][1] = refunded
    result = pull(day=1)
    assert landed(result) == {"orders": 1}
    assert rows("select payload_hash from orders where id = '10000000002'") == [(payload_hash(refunded),)]
    assert rows(
        "select changed, payload_hash, landed_at from orders_history"
        " where id = '10000000002' order by changed"
    ) == [
        (at(2027, 2, 1, 0, 2), payload_hash(order(2)), at(2027, 3, 1, 6)),
        (at(2027, 2, 1, 10), payload_hash(refunded), at(2027, 3, 2, 6)),
    ]
    assert rows("select watermark from listings where listing = 'orders'") == [(at(2027, 2, 1, 10),)]


@pytest.mark.parametrize("is_dated", [True, False])
def test_a_change_of_the_future_hides_none_of_the_present(
    pull: Pull, eventbrite: Eventbrite, settings: Settings, rows: Rows, is_dated: bool
) -> None:
    watermark = "select watermark from listings where listing = 'orders'"
    eventbrite.is_dated = is_dated  # if not, the run's own clock counts
    world(eventbrite)["orders"][2] = order(3, changed="2099-01-01T00:00:00Z")
    pull()
    assert rows(watermark) == [(at(2027, 2, 1, 0, 2),)]
    world(eventbrite)["orders"][0] = changed(order(1), 600, status="refunded")
    assert landed(pull(day=1)) == {"orders": 1}
    assert rows(watermark) == [(at(2027, 2, 1, 10),)]
    # One that was let ahead once is void, so the run after the next reads everything.
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("update bronze_eventbrite.listings set watermark = '2099-01-01'")
    world(eventbrite)["orders"][1] = changed(order(2), 700, status="refunded")
    pull(day=2)
    pull(day=2.1)
    assert rows("select changed from orders where id = '10000000002'") == [(at(2027, 2, 1, 11, 40),)]


@pytest.mark.usefixtures("loaded")
def test_a_version_seen_before_keeps_when_it_was_first_seen(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    world(eventbrite)["attendees"][0] = changed(attendee(1), 50, checked_in=True)
    pull(day=1)
    pull(day=2, full=True)
    assert rows("select landed_at from attendees_history where id = '20000000001' order by 1") == [
        (at(2027, 3, 1, 6),),
        (at(2027, 3, 2, 6),),
    ]


def test_an_older_answer_never_overwrites_a_newer_one(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    world(eventbrite)["orders"][0] = changed(order(1), 30, status="refunded")
    pull()
    world(eventbrite)["orders"][0] = changed(order(1), 29)
    assert landed(pull(full=True)) == {}
    assert rows("select changed from orders where id = '10000000001'") == [(at(2027, 2, 1, 0, 30),)]
    # It is an earlier version all the same.
    assert rows("select count(*) from orders_history where id = '10000000001'") == [(2,)]


@pytest.mark.usefixtures("loaded")
def test_of_two_answers_of_the_same_second_the_later_one_counts(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    world(eventbrite)["orders"][2] = order(3, status="refunded")
    assert landed(pull()) == {"orders": 1}
    assert rows("select payload->>'status' from orders where id = '10000000003'") == [("refunded",)]


def test_rows_of_one_second_on_two_pages_all_land(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    eventbrite.page_size = 2
    pull()
    same = [changed(attendee(number), 700) for number in range(10, 15)]
    world(eventbrite)["attendees"] += same
    pull()
    assert rows("select count(*), count(distinct id) from attendees") == [(8, 8)]


def test_a_row_twice_in_one_listing_is_its_latest(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    world(eventbrite)["orders"] += [changed(order(1), 44, status="refunded"), order(2)]
    result = pull()
    assert rows("select id, payload->>'status' from orders order by id") == [
        ("10000000001", "refunded"),
        ("10000000002", "placed"),
        ("10000000003", "placed"),
    ]
    assert rows("select count(*) from orders_history where id = '10000000001'") == [(2,)]
    assert result.status == "ok"


def test_an_edit_during_the_crawl_is_found_by_the_next_run(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    eventbrite.page_size = 2

    def edit(path: str) -> None:
        if path.endswith("orders/") and len(eventbrite.listed("orders")) == 1:
            world(eventbrite)["orders"][0] = changed(order(1), 800, status="refunded")

    eventbrite.afterwards = edit
    pull()
    eventbrite.afterwards = lambda path: None
    pull()
    assert rows("select payload->>'status' from orders where id = '10000000001'") == [("refunded",)]


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(
    "trouble",
    [error(500, "INTERNAL_ERROR"), error(403, "NOT_AUTHORIZED"), Drop(), error(400, "ARGUMENTS_ERROR")],
)
def test_a_listing_that_breaks_off_moves_nothing(
    pull: Pull, eventbrite: Eventbrite, rows: Rows, trouble: Response
) -> None:
    before = rows("select * from listings order by all")
    eventbrite.page_size = 2
    world(eventbrite)["orders"] = [changed(order(number), 600 + number) for number in range(1, 7)]
    eventbrite.faults = [on("orders", None, *[trouble] * 6)]
    result = pull()
    assert result.status == "partial"
    assert rows("select * from listings order by all") == before
    assert landed(result) == {}
    eventbrite.faults = []
    assert landed(pull()) == {"orders": 6}


# -- details of events


def test_details_are_read_of_what_is_new_changed_or_upcoming(pull: Pull, eventbrite: Eventbrite) -> None:
    world(eventbrite)["events"][1]["end"] = {"utc": "2027-02-20T00:00:00Z"}
    pull()
    assert len(eventbrite.listed("questions")) == len(eventbrite.listed("discounts")) == 2
    pull(day=0.9)
    assert eventbrite.listed("questions") == []
    pull(day=1)
    assert [path for path, _ in eventbrite.requests if "questions" in path] == [
        "/events/800000000001/questions/"
    ]
    pull(day=1.9)
    assert eventbrite.listed("questions") == []
    world(eventbrite)["events"][1]["changed"] = moment(5)
    pull(day=1.9)
    assert [path for path, _ in eventbrite.requests if "questions" in path] == [
        "/events/800000000002/questions/"
    ]


def test_one_forbidden_event_does_not_stop_the_others(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    eventbrite.by_event["questions", "800000000002"] = [{"id": "1"}]
    eventbrite.faults = [always("800000000001/questions", error(403, "NOT_AUTHORIZED"))]
    result = pull()
    assert result.status == "partial"
    assert "events/800000000001/questions/ (403 NOT_AUTHORIZED)" in str(result.problems[0])
    assert rows("select event_id from questions") == [("800000000002",)]
    # It is asked for again, and the others are not.
    eventbrite.faults = []
    assert pull().status == "ok"
    assert len(eventbrite.listed("questions")) == 1


def test_of_an_event_whose_pages_end_in_trouble_nothing_lands(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    eventbrite.page_size = 2
    eventbrite.by_event["questions", "800000000001"] = [{"id": str(number)} for number in range(3)]
    eventbrite.faults = [on("800000000001/questions", None, *[error(503, "UNAVAILABLE")] * 6)]
    assert pull().status == "partial"
    assert rows("select id from questions") == []
    eventbrite.faults = []
    assert pull().status == "ok"
    assert len(rows("select id from questions")) == 3


def test_many_forbidden_events_are_summed_up(pull: Pull, eventbrite: Eventbrite) -> None:
    world(eventbrite)["events"] = [event(number, ticket_classes=[]) for number in range(40)]
    eventbrite.faults = [always("questions", error(404, "NOT_FOUND"))]
    problems = pull().problems
    assert len(problems) == 4
    assert "Questions of 37 more events" in str(problems[3])


def test_a_question_that_is_gone_is_marked(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    eventbrite.by_event["questions", "800000000001"] = [{"id": "1"}, {"id": "2"}]
    pull()
    del eventbrite.by_event["questions", "800000000001"][0]
    pull(day=0.5)
    assert rows("select count(*) from questions where missing_since is not null") == [(0,)]
    pull(day=1)
    assert rows("select id from questions where missing_since is not null") == [("1",)]


def test_ticket_classes_are_read_event_by_event_when_the_expansion_does_not_arrive(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    eventbrite.expands = False
    eventbrite.by_event["ticket_classes", "800000000001"] = [ticket_class(1)]
    eventbrite.by_event["ticket_classes", "800000000002"] = [ticket_class(2, 2)]
    assert pull().status == "ok"
    assert rows("select id, event_id from ticket_classes order by id") == [
        ("300000001", "800000000001"),
        ("300000002", "800000000002"),
    ]
    assert eventbrite.listed("ticket_classes") == [{"category": "all"}] * 2
    pull()
    assert eventbrite.listed("ticket_classes") == []
    assert rows("select count(*) from ticket_classes where missing_since is not null") == [(0,)]


# -- expansions that fail


def test_orders_without_their_refund_requests_do_not_replace_those_with(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    request = {"status": "completed", "items": [{"amount_processed": 1}]}
    world(eventbrite)["orders"][2]["refund_requests"] = [request]
    pull()
    before = everything(rows)
    eventbrite.faults = [
        lambda asked: error(500, "EXPANSION_FAILED") if "refund" in str(asked.query_params) else None
    ]
    world(eventbrite)["orders"][0] = changed(order(1), 900, refund_requests=[request])
    pull()
    after = everything(rows)
    assert after["listings"] == before["listings"]
    assert after["orders"][1:] == before["orders"][1:]
    # What is certainly newer lands; the expansion follows when it works again.
    assert rows(
        "select payload->>'changed', (payload->'refund_requests') is null from orders where id like '%1'"
    ) == [(moment(900), True)]
    eventbrite.faults = []
    pull()
    assert rows("select count(*) from orders where (payload->'refund_requests') is null") == [(0,)]


# -- what is gone


@pytest.mark.usefixtures("loaded")
def test_what_vanished_is_marked_by_a_full_listing_and_unmarked_when_it_is_back(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    gone = {kind: world(eventbrite)[kind].pop(0) for kind in ("events", "orders", "attendees")}
    venue = world(eventbrite)["venues"].pop(0)

    def marked() -> dict[str, list[Any]]:
        return {
            name: rows(f"select id, missing_since from {name} where missing_since is not null")
            for name in ("events", "venues", "ticket_classes", "orders", "attendees")
        }

    result = pull(day=1)
    second = at(2027, 3, 2, 6)
    assert marked() == {
        "events": [("800000000001", second)],
        "venues": [("5000001", second)],
        "ticket_classes": [("300000001", second)],
        "orders": [],
        "attendees": [],
    }
    assert any("1 ticket classes are gone" in note for note in result.notes)
    third = at(2027, 3, 3, 6)
    pull(day=2, full=True)
    assert marked()["attendees"] == [("20000000001", third)]
    assert marked()["orders"] == [("10000000001", third)]
    assert marked()["events"] == [("800000000001", second)]
    assert rows("select count(*) from orders_history") == [(3,)]

    for kind, each in gone.items():
        world(eventbrite)[kind].insert(0, each)
    world(eventbrite)["venues"].append(venue)
    pull(day=3, full=True)
    assert not any(marked().values())
    assert rows("select count(*) from orders_history") == [(3,)]


@pytest.mark.usefixtures("loaded")
def test_once_a_week_orders_and_attendees_are_listed_whole(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    del world(eventbrite)["attendees"][0]
    pull(day=6.9)
    assert rows("select count(*) from attendees where missing_since is not null") == [(0,)]
    pull(day=7)
    assert "changed_since" not in eventbrite.listed("attendees")[0]
    assert rows("select id from attendees where missing_since is not null") == [("20000000001",)]
    pull(day=8)
    assert "changed_since" in eventbrite.listed("attendees")[0]


def test_a_stale_answer_still_takes_the_mark_away(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    world(eventbrite)["orders"][0] = changed(order(1), 30)
    pull()
    kept = world(eventbrite)["orders"].pop(0)
    pull(full=True)
    world(eventbrite)["orders"].append(changed(kept, 20, status="pending"))
    pull(full=True)
    assert rows("select payload->>'status', missing_since from orders where id = '10000000001'") == [
        ("placed", None)
    ]


@pytest.mark.usefixtures("loaded")
def test_rows_of_a_failed_listing_are_never_marked(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    eventbrite.faults = [
        always("venues", error(403, "NOT_AUTHORIZED")),
        always("events", error(500, "INTERNAL_ERROR")),
    ]
    world(eventbrite)["venues"] = []
    world(eventbrite)["events"] = []
    assert pull(full=True).status == "partial"
    for name in ("venues", "events", "ticket_classes"):
        assert rows(f"select count(*) from {name} where missing_since is not null") == [(0,)]


@pytest.mark.usefixtures("loaded")
def test_a_row_that_slips_between_two_pages_is_not_marked(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    eventbrite.page_size = 2

    def shift(path: str) -> None:
        if path.endswith("orders/") and len(eventbrite.listed("orders")) == 1:
            del world(eventbrite)["orders"][0]

    eventbrite.afterwards = shift
    pull(full=True)
    # The third order moved up to the first page after that was read.
    assert rows("select id from orders where missing_since is not null") == []


# -- tokens and organizations


@pytest.mark.usefixtures("loaded")
def test_a_refused_token_fails_in_one_sentence(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    before = everything(rows)
    eventbrite.faults = [always("organizations", error(401, "INVALID_AUTH"))]
    result = pull(full=True)
    assert result.status == "failed"
    assert [str(problem).startswith("EVENTBRITE_TOKEN is refused") for problem in result.problems] == [True]
    assert everything(rows) == before


@pytest.mark.usefixtures("loaded")
def test_a_token_revoked_mid_run_keeps_what_was_complete_and_marks_nothing(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    eventbrite.page_size = 2
    del world(eventbrite)["orders"][0]
    world(eventbrite)["orders"].append(changed(order(9), 900))
    world(eventbrite)["attendees"] = [changed(attendee(number), 900) for number in range(5)]
    reads: list[str] = []

    def revoked(request: Any) -> Response | None:
        kind = request.url.path.rstrip("/").split("/")[-1]
        reads.append(kind)
        # The second page of attendees waits for every other listing.
        if kind == "attendees" and reads.count(kind) > 1:
            return error(401, "INVALID_AUTH")
        return None

    eventbrite.faults = [revoked]
    result = pull(full=True)
    assert result.status == "failed"
    assert rows("select count(*) from attendees where changed > '2027-02-01 10:00'") == [(0,)]
    assert rows("select watermark from listings where listing = 'attendees'") == [(at(2027, 2, 1, 0, 3),)]
    assert rows("select count(*) from orders where missing_since is not null") == [(0,)]
    eventbrite.faults = []
    assert pull().status == "ok"
    assert rows("select count(*) from attendees where changed > '2027-02-01 10:00'") == [(5,)]
    assert rows("select count(*) from orders where id = '10000000009'") == [(1,)]


@pytest.mark.usefixtures("loaded")
def test_a_failed_run_marks_nothing_even_in_complete_listings(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    del world(eventbrite)["orders"][0]
    del world(eventbrite)["venues"][0]
    eventbrite.faults = [always("questions", error(401, "INVALID_AUTH"))]
    assert pull(day=1, full=True).status == "failed"
    for name in ("orders", "venues"):
        assert rows(f"select id from {name} where missing_since is not null") == []


@pytest.mark.usefixtures("loaded")
def test_a_server_that_is_down_fails_and_keeps_the_last_good_data(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    before = everything(rows)
    eventbrite.faults = [lambda request: error(503, "INTERNAL_ERROR")]
    result = pull(full=True)
    assert result.status == "failed"
    assert "did not answer" in str(result.problems[0])
    assert everything(rows) == before


def test_the_token_and_people_are_in_no_log_no_problem_and_no_table(
    pull: Pull, eventbrite: Eventbrite, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    eventbrite.faults = [always("venues", error(400, "ARGUMENTS_ERROR")), on("orders", Drop(), Drop())]
    result = pull()
    said = [caplog.text, *map(str, result.problems), *result.notes]
    assert not any(TOKEN in text or "kim@example.org" in text for text in said)
    for path in settings.warehouse_path.parent.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes()
    assert not (settings.dlt_dir / "eventbrite_pages").exists()


def test_every_organization_the_token_sees_is_read(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    eventbrite.organizations.append({"id": OTHER, "name": "Other Hall"})
    eventbrite.last_page_continuation = "never ends"
    eventbrite.objects[OTHER] = {**small_world(), "orders": [order(50)], "events": [], "attendees": []}
    assert pull().status == "ok"
    assert rows("select organization_id, count(*) from orders group by 1 order by 1") == [
        (ORG, 3),
        (OTHER, 1),
    ]
    assert rows(
        "select organization_id, listing, watermark from listings where listing = 'orders' order by 1"
    ) == [
        (ORG, "orders", at(2027, 2, 1, 0, 3)),
        (OTHER, "orders", at(2027, 2, 1, 0, 50)),
    ]
    assert landed(pull()) == {}
    assert len(eventbrite.listed("organizations")) == 1


def test_one_forbidden_organization_does_not_stop_the_other(
    pull: Pull, eventbrite: Eventbrite, rows: Rows
) -> None:
    eventbrite.organizations.insert(0, {"id": OTHER, "name": "Other Hall"})
    eventbrite.faults = [
        lambda request: (
            error(403, "NOT_AUTHORIZED") if f"organizations/{OTHER}/" in request.url.path else None
        )
    ]
    result = pull()
    assert result.status == "partial"
    assert all(OTHER in str(problem) for problem in result.problems)
    assert rows("select count(*) from orders") == [(3,)]


def test_only_the_chosen_organization_is_read(pull: Pull, eventbrite: Eventbrite, rows: Rows) -> None:
    eventbrite.organizations.append({"id": OTHER, "name": "Other Hall"})
    eventbrite.objects[OTHER] = {**small_world(), "orders": [order(50)]}
    pull()
    assert pull(eventbrite_organization_id=OTHER, full=True).status == "ok"
    assert not any(f"/{ORG}/" in path for path, _ in eventbrite.requests)
    assert rows("select count(*) from organizations where missing_since is null") == [(2,)]
    assert rows("select count(*) from orders where missing_since is null") == [(4,)]


def test_a_wrong_organization_is_answered_with_those_there_are(pull: Pull, eventbrite: Eventbrite) -> None:
    result = pull(eventbrite_organization_id="42")
    assert result.status == "failed"
    assert str(result.problems[0]) == (
        "EVENTBRITE_ORGANIZATION_ID is 42, which EVENTBRITE_TOKEN does not see."
        f" Use one of those it sees, or leave it out: {ORG} (Example Hall)."
    )


def test_a_token_that_sees_nothing_is_said(pull: Pull, eventbrite: Eventbrite) -> None:
    eventbrite.organizations = []
    assert "sees no organization" in str(pull().problems[0])
    eventbrite.faults = [always("organizations", error(403, "NOT_AUTHORIZED"))]
    assert "may not list its organizations" in str(pull().problems[0])


# -- the budget


def test_a_spent_budget_parks_the_run_and_says_so(
    eventbrite: Eventbrite, settings: Settings, time: Time
) -> None:
    eventbrite.used = 1798
    told: list[str] = []

    def sleep(seconds: float) -> None:
        eventbrite.used = 0
        time.sleep(seconds)

    result = source.load(settings, progress=lambda what, *_: told.append(what), sleep=sleep, clock=time)
    assert result.status == "ok"
    assert sum(time.sleeps) >= 3575
    assert any("waiting until" in note for note in result.notes)
    assert any("waiting until" in what for what in told)
    assert result.notes[-1].startswith(f"{result.requests} requests to Eventbrite; ")


# -- state that is lost, or older than it should be


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("lost", ["dlt", "warehouse", "both", "yesterday"])
def test_whatever_is_lost_bronze_is_as_a_fresh_full_load(
    pull: Pull, eventbrite: Eventbrite, settings: Settings, rows: Rows, tmp_path: Path, lost: str
) -> None:
    yesterday = tmp_path / "yesterday.duckdb"
    shutil.copy(settings.warehouse_path, yesterday)
    world(eventbrite)["orders"].append(order(40))
    world(eventbrite)["attendees"] += [attendee(40), attendee(41)]
    pull(day=1)
    world(eventbrite)["orders"].append(order(41))
    if lost in ("dlt", "both"):
        shutil.rmtree(settings.dlt_dir)
    if lost in ("warehouse", "both"):
        settings.warehouse_path.unlink()
    if lost == "yesterday":
        shutil.copy(yesterday, settings.warehouse_path)
    assert pull(day=2).status == "ok"
    found = everything(rows)
    shutil.rmtree(settings.dlt_dir)
    settings.warehouse_path.unlink()
    pull(day=2)
    assert everything(rows) == found


@pytest.mark.usefixtures("loaded")
def test_a_watermark_ahead_of_its_rows_is_void(
    pull: Pull, eventbrite: Eventbrite, settings: Settings, rows: Rows
) -> None:
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("delete from bronze_eventbrite.orders where id > '10000000001'")
    pull()
    assert "changed_since" not in eventbrite.listed("orders")[0]
    assert rows("select count(*) from orders") == [(3,)]
