"""The inbox: what a notice is about, what is due, and what a full or shared file costs."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from boxoffice import ops
from webhooks import inbox
from webhooks.inbox import Full, Inbox, Notice, read

API = "https://www.eventbriteapi.com/v3"
SECRET = "k3yk3yk3yk3yk3yk3yk3y"
NOON = 1_800_000_000.0


def body(path: str = "/orders/11/", action: str = "order.updated", base: str = API) -> bytes:
    config = {"action": action, "webhook_id": "1", "endpoint_url": f"https://hooks.example.org/{SECRET}"}
    return json.dumps({"config": config, "api_url": f"{base}{path}"}).encode()


def notice(at: float = NOON, path: str = "/orders/11/", **more: str) -> Notice:
    return Notice(at, {"x-eventbrite-event": "order.updated"}, body(path, **more))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with ops.opened(tmp_path / "ops.sqlite"):
        return tmp_path / "ops.sqlite"


@pytest.fixture
def box(path: Path) -> Iterator[Inbox]:
    with inbox.opened(path, API, SECRET, clock=lambda: NOON + 60) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/orders/11/", ("order", "11", None)),
        ("/events/80/attendees/T1-D2/", ("attendee", "T1-D2", "80")),
        ("/events/80/", ("event", "80", None)),
        ("/events/80/ticket_classes/31/", ("ticket_class", "31", "80")),
        ("/venues/5", ("venue", "5", None)),
        ("/organizers/7/", ("organizer", "7", None)),
    ],
)
def test_a_notice_tells_type_and_id(path: str, found: tuple[str, str, str | None]) -> None:
    said = read(body(path), API)
    assert (said.state, said.type, said.id, said.parent_id) == ("new", *found)


@pytest.mark.parametrize(
    ("sent", "state", "reason"),
    [
        (b"", "refused", "no JSON object"),
        (b"\xff\xfe{", "refused", "no JSON object"),
        (b"[" * 9999, "refused", "no JSON object"),
        (b'{"api_url": "https://www.eventbriteapi.com/v3/orders/1/"}', "refused", "no action"),
        (b'{"config": ["action"], "api_url": null}', "refused", "no action"),
        (b'{"config": {"action": 7}}', "refused", "no action"),
        (b'{"config": {"action": "order.\\ud800"}}', "refused", "no action"),
        (b'{"config": {"action": "order.placed"}, "api_url": 7}', "refused", "no api_url"),
        (body("/{api-endpoint-to-fetch-object-details}/", "test"), "ignored", "a test"),
        (body("/{api-endpoint-to-fetch-object-details}/"), "ignored", "an unknown kind of object"),
        (body(action="order.exploded"), "ignored", "an unknown action"),
        (body("/orders/11/attendees/../../users/me/"), "ignored", "an unknown kind of object"),
        *(
            (body(base=base), "refused", "api_url is not of Eventbrite's API")
            for base in (
                "https://evil.example/v3",
                "http://www.eventbriteapi.com/v3",
                "https://www.eventbriteapi.com:8443/v3",
                "https://me@www.eventbriteapi.com/v3",
                "https://www.eventbriteapi.com@evil.example/v3",
                "https://www.eventbriteapi.com.evil.example/v3",
                "https://www.eventbriteapi.com/v2",
                "https://[::1/v3",
                "https://www.eventbriteapi.com:port/v3",
            )
        ),
        (body("/orders/11/?token=x"), "refused", "api_url is not of Eventbrite's API"),
    ],
)
def test_what_is_not_to_be_fetched_says_why(sent: bytes, state: str, reason: str) -> None:
    said = read(sent, API)
    assert (said.state, said.reason, said.type, said.id) == (state, reason, None, None)


def test_a_notice_is_stored_whole_but_for_the_secret(box: Inbox, path: Path) -> None:
    box.store([notice(), notice(path="/orders/12/", base="https://evil.example")])
    with sqlite3.connect(path) as other:
        rows = other.execute(
            "select received_at, headers, body, action, object_type, object_id, state, error, settled_at"
            " from inbox order by notice_id"
        ).fetchall()
    noon = "2027-01-15 08:00:00.000"
    masked = [body().replace(SECRET.encode(), b"***"), rows[1][2]]
    assert [row[2] for row in rows] == masked
    assert SECRET.encode() not in rows[1][2]
    first, second = ((*row[:2], *row[3:]) for row in rows)
    assert first == (
        noon, '{"x-eventbrite-event": "order.updated"}', "order.updated", "order", "11", "new", None, None
    )  # fmt: skip
    assert second[2:] == (
        "order.updated", None, None, "refused", "api_url is not of Eventbrite's API", noon
    )  # fmt: skip
    assert box.counts() == {"new": 1, "refused": 1}


def test_notices_of_one_object_are_one_pointer_once_it_is_quiet(box: Inbox) -> None:
    assert box.next_due(NOON) is None
    box.store([notice(NOON), notice(NOON + 0.3), notice(NOON + 1, "/events/80/attendees/20/")])
    assert box.due(NOON + 0.7) == []
    assert box.next_due(NOON + 0.7) == pytest.approx(0.1, abs=0.01)
    [order] = box.due(NOON + 0.81)
    assert (order.type, order.id, order.notices, order.first_received_at) == ("order", "11", (1, 2), NOON)
    assert [(each.id, each.parent_id) for each in box.due(NOON + 2)] == [("11", None), ("20", "80")]


def test_an_object_that_never_gets_quiet_is_due_after_three_seconds(box: Inbox) -> None:
    box.store([notice(NOON + tenth / 10 * 4) for tenth in range(8)])
    assert box.due(NOON + 2.9) == []
    assert [len(each.notices) for each in box.due(NOON + 3)] == [8]


def test_what_arrives_while_an_object_is_fetched_makes_it_due_again(box: Inbox) -> None:
    box.store([notice()])
    pointers = box.due(NOON + 1)
    box.store([notice(NOON + 1.1)])
    box.done(pointers, run_id=None)
    assert [each.notices for each in box.due(NOON + 2)] == [(2,)]
    assert box.waiting() == 1


def test_what_failed_is_due_later_or_when_it_is_told_of_again(box: Inbox) -> None:
    box.store([notice(), notice(path="/orders/12/")])
    box.retry(box.due(NOON + 1), NOON + 31, "404")
    assert box.due(NOON + 30.9) == []
    assert box.next_due(NOON + 1) == 30
    box.store([notice(NOON + 20)])
    [told] = box.due(NOON + 21)
    assert (told.id, told.notices, told.attempts) == ("11", (1, 3), 1)
    box.park([told], "poison", api_error_id=7)
    [later] = box.due(NOON + 31)
    box.retry([later], NOON + 40, "404")
    assert [(each.id, each.attempts) for each in box.due(NOON + 40)] == [("12", 2)]
    assert box.counts() == {"new": 1, "parked": 2}


def test_the_oldest_settled_notices_make_room_and_those_that_wait_do_not(path: Path) -> None:
    with inbox.opened(path, API, clock=lambda: NOON, most_notices=3) as box:
        box.store([notice(path="/orders/1/"), notice(path="/orders/2/")])
        box.done(box.due(NOON + 1)[:1])
        box.store([notice(path="/orders/3/"), notice(path="/orders/4/")])
        assert [each.id for each in box.due(NOON + 1)] == ["2", "3", "4"]
        with pytest.raises(Full, match="3 notices wait"):
            box.store([notice(path="/orders/5/")])
        assert box.counts() == {"new": 3}
    size = len(notice().body)
    with inbox.opened(path, API, most_bytes=4 * size) as box, pytest.raises(Full):
        box.store([notice()])


def test_a_file_of_another_version_is_prepared_first(tmp_path: Path, path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"pragma user_version = {len(ops.MIGRATIONS) + 1}")
    with pytest.raises(ops.ConfigurationError, match="another version"), inbox.opened(path, API):
        pass


def test_settled_notices_go_after_their_time_and_who_is_forgotten_at_once(path: Path) -> None:
    with inbox.opened(path, API, clock=lambda: 1e9) as box, ops.opened(path) as store:
        box.store([notice(1e9), notice(4e9, path="/orders/2/"), Notice(4e9, {}, b'\xff"ann@example.org"')])
        box.done(box.due(2e9))
        store.drop_old(retention_days=90)
        assert box.counts() == {"new": 1, "refused": 1}
        store.forget(["ann@example.org"])
        bodies = store.connection.execute("select body from inbox order by notice_id").fetchall()
    assert [len(each) > 0 for (each,) in bodies] == [True, False]
