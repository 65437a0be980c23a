"""What the stand-in can be told to do wrong, its clock, memory and command line."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from sandbox.__main__ import main
from sandbox.bases import Bases
from sandbox.server import Clock, StandIn, evolve_store, fill, listening_on, running, world_of
from sandbox.staff_base import BASE_ID
from sandbox.store import FILE, Store
from tests.python.sandbox.test_eventbrite import (
    ATTENDEES,
    EVENT,
    EVENTS,
    ORDERS,
    ORGANIZATION,
    Get,
    attendee,
    get,
    getter,
    ids,
    objects,
    refusal,
    shared,
    stand_in,
)

__all__ = ["get", "shared", "stand_in"]  # fixtures


def crawl(get: Get) -> list[list[str]]:
    pages, query = [], {}
    while True:
        page = get(ATTENDEES, **query).json()
        pages.append([item["id"] for item in page["attendees"]])
        if not page["pagination"]["has_more_items"]:
            return pages
        query = {"continuation": page["pagination"]["continuation"]}


# -- faults


def test_a_fault_hits_the_nth_matching_call_and_no_other(get: Get, stand_in: StandIn) -> None:
    stand_in.fault("internal_error", path="attendees/$", method="GET", after=1, times=2)
    assert [get(ATTENDEES).status_code for _ in range(4)] == [200, 500, 500, 200]
    assert refusal(get(EVENTS, status="both"))[0] == 400
    [told] = stand_in.call("GET", "/faults")["faults"]
    assert (told["seen"], told["hits"]) == (3, 2)


def test_faults_answer_in_the_apis_own_words(get: Get, stand_in: StandIn) -> None:
    for do, expected in {
        "internal_error": (500, "INTERNAL_ERROR"),
        "rate_limit": (429, "HIT_RATE_LIMIT"),
        "forbid": (403, "NOT_AUTHORIZED"),
        "revoke": (401, "INVALID_AUTH"),
    }.items():
        stand_in.clear_faults()
        stand_in.fault(do)
        assert refusal(get("/users/me/")) == expected


def test_any_answer_can_be_given(get: Get, stand_in: StandIn) -> None:
    stand_in.fault("answer", status=409, error="REQUEST_CONFLICT", headers={"Retry-After": "7"})
    answer = get("/users/me/")
    assert (refusal(answer), answer.headers["retry-after"]) == ((409, "REQUEST_CONFLICT"), "7")
    stand_in.fault("answer", status=200, body={"pagination": {}})
    assert get("/users/me/").json() == {"pagination": {}}


def test_a_long_rate_limit_says_how_long(get: Get, stand_in: StandIn) -> None:
    stand_in.fault("rate_limit", reset=1234)
    assert get("/users/me/").headers["x-rate-limit"] == "token:sandbox 2000/2000 reset=1234s"


def test_a_gateway_answers_with_html(get: Get, stand_in: StandIn) -> None:
    stand_in.fault("bad_gateway")
    answer = get("/users/me/")
    assert (answer.status_code, answer.text[:6]) == (502, "<html>")


def test_an_event_can_be_seen_while_its_attendees_are_not(get: Get, stand_in: StandIn) -> None:
    stand_in.fault("forbid", path=f"/events/{EVENT}/attendees/")
    assert get(f"/events/{EVENT}/").status_code == 200
    assert get(f"/events/{EVENT}/attendees/").status_code == 403


def test_a_token_can_be_revoked_mid_run(get: Get, stand_in: StandIn) -> None:
    stand_in.fault("revoke", after=2)
    assert [get("/users/me/").status_code for _ in range(4)] == [200, 200, 401, 401]


def test_cursors_expire_and_expansions_fail_only_where_there_are_any(get: Get, stand_in: StandIn) -> None:
    stand_in.settings(page_size=2)
    stand_in.fault("expired_cursor")
    stand_in.fault("expansion_failed")
    first = get(ATTENDEES).json()["pagination"]["continuation"]
    assert refusal(get(ATTENDEES, continuation=first)) == (400, "BAD_CONTINUATION_TOKEN")
    assert get(ATTENDEES, continuation=first).status_code == 200
    assert refusal(get(ATTENDEES, expand="order")) == (500, "EXPANSION_FAILED")
    assert get(ATTENDEES, expand="order").status_code == 200


@pytest.mark.parametrize("do", ["drop", "apply_then_drop", "cut"])
def test_a_dropped_connection_is_felt(get: Get, stand_in: StandIn, do: str) -> None:
    stand_in.fault(do, path="/users/me/")
    with pytest.raises(requests.RequestException):
        get("/users/me/")
    assert get("/users/me/").status_code == 200
    assert [call["status"] for call in stand_in.requests()] == [None, 200]


def test_a_dropped_answer_may_have_been_obeyed(get: Get, stand_in: StandIn) -> None:
    path = f"/organizations/{ORGANIZATION}/webhooks/"
    for do, made in (("drop", 0), ("apply_then_drop", 1)):
        stand_in.fault(do, method="POST")
        with pytest.raises(requests.ConnectionError):
            get(path, method="POST", body={"endpoint_url": "https://example.org/"})
        hooks = ids(get(path), "webhooks")
        assert len(hooks) == made
        for hook in hooks:
            get(f"/webhooks/{hook}/", method="DELETE")


def test_a_slow_answer_comes_late(get: Get, stand_in: StandIn) -> None:
    stand_in.fault("slow", ms=80)
    assert get("/users/me/").elapsed.total_seconds() >= 0.08
    assert stand_in.requests()[-1]["faults"] == ["slow"]


def test_the_last_page_may_carry_any_cursor(get: Get, stand_in: StandIn) -> None:
    for value, expected in (("present", "eyJwYWdlIjogMn0"), ("absent", "-"), ("null", None)):
        stand_in.clear_faults()
        stand_in.fault("last_continuation", value=value)
        assert get(ATTENDEES).json()["pagination"].get("continuation", "-") == expected
    stand_in.fault("omit", keys=["object_count", "page_count"])
    assert "object_count" not in get(ATTENDEES).json()["pagination"]


def test_pages_may_be_shorter_and_longer_and_lose_nothing(get: Get, stand_in: StandIn) -> None:
    stand_in.settings(page_size=2)
    stand_in.fault("page_rows", rows=[1, 3])
    assert crawl(get) == [["21"], ["22", "23", "24"], ["100"]]


def test_rows_may_shift_between_pages(get: Get, stand_in: StandIn) -> None:
    stand_in.settings(page_size=2)
    stand_in.fault("shift", rows=1)
    assert crawl(get) == [["21", "22"], ["24", "100"]]
    stand_in.clear_faults()
    stand_in.fault("shift", rows=-1)
    assert crawl(get) == [["21", "22"], ["22", "23"], ["24", "100"]]


def test_a_senseless_fault_is_refused(stand_in: StandIn) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        stand_in.fault("explode")


# -- objects that change


def test_rows_really_move_when_one_vanishes_during_a_crawl() -> None:
    with running(objects=objects()) as stand_in:
        get = getter(stand_in)
        stand_in.settings(page_size=2)
        stand_in.fault("apply", path="attendees/$", delete={"attendees": ["21"]})
        assert crawl(get) == [["21", "22"], ["24", "100"]]
        assert refusal(get(f"/events/{EVENT}/attendees/21/")) == (404, "NOT_FOUND")


def test_delayed_writes_read_stale_and_new_objects_are_missing_until_then() -> None:
    with running(objects=objects()) as stand_in:
        get = getter(stand_in)
        stand_in.set_clock("2027-03-01T12:00:00Z")
        stand_in.put(attendees=[attendee("21", status="Checked In"), attendee("90")], delay=15)
        old, new = f"/events/{EVENT}/attendees/21/", f"/events/{EVENT}/attendees/90/"
        stand_in.advance(14)
        assert get(old).json()["status"] == "Attending"
        assert get(new).status_code == 404
        stand_in.advance(1)
        assert get(old).json()["status"] == "Checked In"
        assert get(new).status_code == 200


def test_a_change_moves_changed_to_the_clock() -> None:
    with running(objects=objects()) as stand_in:
        get = getter(stand_in)
        stand_in.set_clock("2027-03-01T12:00:00Z")
        stand_in.change("attendees", "22", checked_in=True)
        [found] = get(ATTENDEES, changed_since="2027-03-01T12:00:00Z").json()["attendees"]
        assert (found["id"], found["checked_in"]) == ("22", True)
        kept = stand_in.change("attendees", "21", status="Deleted", changed="2027-01-01T00:00:00Z")
        assert kept["promotional_code"] == {"code": "EARLY"}
        with pytest.raises(ValueError, match="no such object"):
            stand_in.change("attendees", "1", status="Deleted")


def test_the_log_never_holds_the_token(get: Get, stand_in: StandIn) -> None:
    requests.get(f"{stand_in.eventbrite}/users/me/?token=sandbox&x=1", timeout=10)
    get(ATTENDEES, status="attending")
    log = stand_in.requests()
    told = [(call["method"], call["path"], call["query"], call["status"]) for call in log]
    assert told == [
        ("GET", "/users/me/", {"x": "1"}, 200),
        ("GET", ATTENDEES, {"status": "attending"}, 200),
    ]
    assert "sandbox" not in json.dumps(log)
    stand_in.forget_requests()
    assert stand_in.requests() == []


# -- memory


def test_a_second_start_sees_the_same_objects(tmp_path: Path) -> None:
    with running(tmp_path, objects=objects()) as stand_in:
        stand_in.change("attendees", "21", status="Checked In")
        stand_in.put(attendees=[attendee("91")], delay=0.001)
        before = getter(stand_in)(ORDERS).json()["orders"]
    with running(tmp_path) as stand_in:
        get = getter(stand_in)
        assert get(f"/events/{EVENT}/attendees/21/").json()["status"] == "Checked In"
        assert get(f"/events/{EVENT}/attendees/91/").status_code == 200
        after = get(ORDERS).json()["orders"]
        for item in before + after:
            item.pop("resource_uri")
        assert before == after


def test_two_stand_ins_on_one_memory_see_each_other(tmp_path: Path) -> None:
    with running(tmp_path, objects=objects()) as one, running(tmp_path) as other:
        assert len(ids(getter(other)(ATTENDEES), "attendees")) == 5
        one.delete("attendees", "21")
        one.put(attendees=[attendee("92"), attendee("93")])
        assert ids(getter(other)(ATTENDEES), "attendees") == ["22", "23", "24", "92", "93", "100"]


def test_the_generated_account_can_be_crawled_whole_and_lives_on(tmp_path: Path) -> None:
    store = Store(tmp_path, Clock())
    fill(store, seed=7, attendees=200)
    world = world_of(store)
    with running(tmp_path) as stand_in:
        get = getter(stand_in)
        listed = []
        for organization in ids(get("/users/me/organizations/"), "organizations"):
            query: dict[str, str] = {}
            while True:
                page = get(f"/organizations/{organization}/attendees/", **query).json()
                listed += [item["id"] for item in page["attendees"]]
                if not page["pagination"]["has_more_items"]:
                    break
                query = {"continuation": page["pagination"]["continuation"]}
        assert sorted(listed) == sorted(item["id"] for item in world.objects["attendees"])
        told = stand_in.call("POST", "/evolve", {"days": 1})
        assert told["changed"]
        expected = json.loads(json.dumps(world_of(store).truth_at(world_of(store).as_of), default=str))
        as_of = expected["as_of"].replace("+00:00", "Z")
        assert stand_in.call("GET", f"/truth?as_of={as_of}") == expected
    kept = {item["id"] for item in world_of(store).objects["attendees"]}
    numbers = store.numbers("attendees")
    assert {row.id for row in store.rows(numbers)} == kept
    evolve_store(store)
    assert len(store.recall("days")) == 2
    store.close()


def test_kept_alive_connections_are_answered_at_once() -> None:
    """asyncio turns Nagle's algorithm off, 40 ms an answer, only on sockets that are named as TCP."""
    with listening_on(0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


# -- command line


def serve(state: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "sandbox", "serve", "--state", str(state), "--attendees", "20", *more]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def address(process: "subprocess.Popen[str]") -> dict[str, str]:
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 30)[0]
    found: dict[str, str] = json.loads(process.stdout.readline())
    return found


def test_serve_prints_one_line_and_ends_with_its_parent(tmp_path: Path) -> None:
    store = Store(tmp_path, Clock())
    fill(store, seed=7, attendees=20)
    Bases(store).fill([])  # a memory from before there was an Airtable
    store.close()
    process = serve(tmp_path)
    found = address(process)
    assert {"control", "eventbrite", "airtable", "civicrm", "google"} <= set(found)
    stand_in = StandIn(int(found["control"].split(":")[2].split("/")[0]))
    assert stand_in.call("GET", "/")["objects"]["attendees"]
    assert BASE_ID in stand_in.call("GET", "/airtable/")["bases"]
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(10) == 0
    assert process.stdout is not None
    assert process.stdout.read() == ""
    process.stdout.close()


def test_no_orphan_stays_when_the_parent_is_killed(tmp_path: Path) -> None:
    """Nothing closes its stdin here: the grandparent holds the other end."""
    starter = (
        "import subprocess, sys, time;"
        "p = subprocess.Popen([sys.executable, '-m', 'sandbox', *sys.argv[1:]]);"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", starter, "serve", "--state", str(tmp_path), "--attendees", "20"]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert b"eventbrite" in parent.stdout.readline()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    # Its end of our pipe closes when it is gone.
    assert select.select([parent.stdout], [], [], 10)[0], f"process {pid} stayed"
    assert parent.stdout.read() == b""
    parent.stdout.close()
    assert parent.stdin is not None
    parent.stdin.close()


def test_a_taken_port_is_explained(tmp_path: Path) -> None:
    with running() as stand_in:
        port = stand_in.control.split(":")[2].split("/")[0]
        result = CliRunner().invoke(main, ["serve", "--state", str(tmp_path), "--port", port])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Port {port} is taken." in result.stderr


def test_truth_and_reset(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(main, ["reset", "--state", str(tmp_path), "--attendees", "50"]).exit_code == 0
    command = ["truth", "--state", str(tmp_path), "--no-sheets", "--as-of", "2026-03-01T12:00:00Z", "--json"]
    told, whole = (run(main, [*command, *more]) for more in (["--no-airtable"], []))
    store = Store(tmp_path, Clock())
    truth = json.loads(told.stdout)
    assert truth == json.loads(json.dumps(world_of(store).truth, default=str))
    assert {**json.loads(whole.stdout)["events"], **truth["events"]} == json.loads(whole.stdout)["events"]
    assert len(Bases(store).all()) == 1
    assert sum(event["tickets_sold"] for event in truth["events"].values()) > 0
    store.delete({"attendees": ["20000000001"]})
    store.close()
    assert run(main, ["reset", "--state", str(tmp_path), "--attendees", "50"]).exit_code == 0
    store = Store(tmp_path, Clock())
    assert store.row("attendees", "20000000001") is not None
    store.close()
    assert "event_sales" in run(main, ["truth", "--state", str(tmp_path)]).stdout
    wrong = run(main, ["truth", "--state", str(tmp_path), "--as-of", "soon"])
    assert (wrong.exit_code, "is not a moment" in wrong.stderr) == (2, True)


def test_an_unreadable_memory_is_explained_and_reset_mends_it(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("this is no database, however long one makes the text of it" * 50)
    run = CliRunner().invoke
    broken = run(main, ["truth", "--state", str(tmp_path)])
    assert (broken.exit_code, "cannot be read" in broken.stderr) == (2, True)
    assert run(main, ["reset", "--state", str(tmp_path), "--attendees", "50"]).exit_code == 0
    assert run(main, ["truth", "--state", str(tmp_path), "--no-sheets"]).exit_code == 0


def test_help_teaches() -> None:
    text = CliRunner().invoke(main, ["--help"]).stdout
    assert "EVENTBRITE_API_URL" in text
    assert "/control" in text


def test_in_the_foreground_it_says_where_it_is_and_stops_on_interrupt(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "--state", str(tmp_path), "--attendees", "20", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = ""
    while "Ctrl-C" not in told:
        line = process.stdout.readline()
        assert line, told
        told += line
    assert "/users/me/organizations/\n" in told
    process.send_signal(signal.SIGINT)
    assert process.stdout.read().strip() == "Stopped."
    assert process.wait(10) == 0
    process.stdout.close()


def test_a_first_start_that_was_killed_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, Clock())
    remember = store.remember

    def killed(name: str, value: object) -> None:
        if name in ("seed", "attendees"):
            raise KeyboardInterrupt
        remember(name, value)

    monkeypatch.setattr(store, "remember", killed)
    with pytest.raises(KeyboardInterrupt):
        fill(store, seed=1, attendees=20)
    assert store.recall("seed") is None
    monkeypatch.undo()
    fill(store, seed=1, attendees=20)
    assert store.counts()["attendees"] == len(world_of(store).objects["attendees"])
    store.close()
