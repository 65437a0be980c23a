"""Alerts: one message when something is no longer well, one when it is again. Over HTTP."""

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from boxoffice import alerts, lock, ops, session
from boxoffice.settings import Settings
from tests.python.boxoffice.conftest import Command, environment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CRASH = "import sys; from boxoffice.session import conduct; sys.exit(conduct('run', lambda session: 1 / 0))"
CONDUCT = (
    "import sys; from boxoffice.session import conduct; from boxoffice.errors import BoxofficeError\n"
    "def body(session):\n"
    "    with session.step('sheets'): raise BoxofficeError('Ann Chovy, ann@example.org, is in the way.')\n"
    "sys.exit(conduct('run', body))"
)


class Chat:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.status = 200
        self.url = ""


@pytest.fixture
def chat() -> Iterator[Chat]:
    found = Chat()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert set(said) == {"text"}
            found.said.append(said["text"])
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}/s3cr3tpath"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


class World:
    """An ops file, the time, and what is told."""

    def __init__(self, settings: Settings, chat: Chat, store: ops.Ops) -> None:
        self.settings, self.chat, self.ops = replace(settings, alert_webhook_url=chat.url), chat, store
        self.now = NOW

    def ran(self, status: str, *steps: tuple[str, str, int, int], minutes: int = 60) -> None:
        """A run that ends after so many minutes; steps: name, status, rows read, rejected."""
        self.now += timedelta(minutes=minutes)
        run_id = self.ops.begin_run("run", self.now, is_sandbox=False)
        for name, how, read, rejected in steps:
            self.ops.add_step(run_id, name, status=how, seconds=1.0, rows=(read, 0, rejected))
        self.ops.end_run(run_id, status=status, exit_code=0, seconds=1.0)
        with self.ops.connection as connection:
            at = ops.as_text(self.now)
            connection.execute("update runs set started_at = ? where run_id = ?", (at, run_id))

    def told(self) -> list[str]:
        self.chat.said.clear()
        alerts.look(self.settings, self.ops.connection, self.now)
        return list(self.chat.said)


@pytest.fixture
def world(settings: Settings, chat: Chat) -> Iterator[World]:
    with ops.opened(settings.ops_path) as store:
        yield World(settings, chat, store)


def test_a_failure_is_told_once_and_so_is_its_end(world: World) -> None:
    assert world.told() == []
    world.ran("ok")
    assert world.told() == []
    failed = ("eventbrite", "failed", 0, 0), ("build", "ok", 0, 0), ("sync airtable", "partial", 9, 0)
    world.ran("look", *failed)
    assert world.told() == [
        "boxoffice: the run of 2026-03-01 14:00:00 UTC needs a look"
        " (eventbrite failed, sync airtable partial): `make status`."
    ]
    world.ran("crashed")
    assert world.told() == []
    world.ran("stopped")
    assert world.told() == []
    world.ran("ok")
    assert world.told() == ["boxoffice: the latest run went well."]
    assert world.told() == []


def test_what_goes_to_and_fro_makes_no_storm(world: World) -> None:
    said = 0
    for minute in range(60):
        world.ran("look" if minute % 2 else "ok", minutes=1)
        said += len(world.told())
    assert said == 4
    world.ran("look" if world.now.minute % 2 else "ok", minutes=60)
    world.ran("ok", minutes=60)
    world.told()
    world.ran("killed")
    assert ["was killed" in text for text in world.told()] == [True]


def test_a_schedule_that_stands_still_is_told(world: World) -> None:
    world.ran("ok")
    world.now += timedelta(minutes=180)
    assert world.told() == []
    world.now += timedelta(seconds=1)
    assert world.told() == [
        "boxoffice: no run since 2026-03-01 13:00:00 UTC, and one was to come every 60 minutes"
        " (SCHEDULE_MINUTES)."
    ]
    world.ran("ok")
    assert world.told() == ["boxoffice: runs are made again."]


def test_many_rejects_are_told_and_few_are_not(world: World) -> None:
    world.ran("ok", ("sheets", "ok", 1000, 50), ("airtable", "ok", 0, 0))
    assert world.told() == []
    world.ran("ok", ("sheets", "ok", 1000, 51), ("sync civicrm", "ok", 10, 9))
    assert world.told() == ["boxoffice: many rows were rejected: sheets 51 of 1,000, sync civicrm 9 of 10."]
    world.ran("ok", ("sheets", "ok", 1000, 0))
    assert world.told() == ["boxoffice: few rows are rejected again."]


def test_notices_that_are_not_worked_on_are_told(world: World) -> None:
    with world.ops.connection as connection:
        connection.execute(
            "insert into inbox (received_at, headers, body, state) values (?, '', '', 'new')",
            (ops.as_text(world.now),),
        )
    world.now += timedelta(minutes=10)
    assert world.told() == []
    world.now += timedelta(minutes=1)
    assert world.told() == [
        "boxoffice: 1 notices of Eventbrite wait since 2026-03-01 12:00:00 UTC: `make status`."
    ]


def test_what_could_not_be_told_is_told_later_and_the_address_is_in_no_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "boxoffice")
    world.ran("look")
    url, world.chat.status = world.chat.url, 500
    assert len(world.told()) == 1
    assert world.told() == []  # not every minute
    world.now += timedelta(minutes=15)
    world.settings = replace(world.settings, alert_webhook_url="http://127.0.0.1:9/s3cr3tpath")
    world.told()
    world.now += timedelta(minutes=15)
    world.settings, world.chat.status = replace(world.settings, alert_webhook_url=url), 204
    assert len(world.told()) == 1
    assert world.told() == []
    assert "does not take messages (answer 500)" in caplog.text
    assert "cannot be reached" in caplog.text
    assert "s3cr3tpath" not in caplog.text


def test_a_clock_that_was_wrong_silences_nothing(world: World) -> None:
    world.ran("look", minutes=60 * 24 * 365)
    assert len(world.told()) == 1
    with world.ops.connection as connection:
        connection.execute("delete from runs")
    world.now = NOW
    world.ran("ok")
    assert world.told() == ["boxoffice: the latest run went well."]


def test_a_listener_that_is_gone_is_told_for_as_long_as_notices_come(world: World) -> None:
    sign = alerts.sign_of_listener(world.settings)
    sign.touch()
    os.utime(sign, (NOW.timestamp(), NOW.timestamp()))
    world.ran("ok", minutes=11)
    assert world.told() == []  # nothing is to come here
    with world.ops.connection as connection:
        connection.execute("insert into hooks values ('1', '2', '')")
    assert world.told() == [
        "boxoffice: the listener is not at work since 2026-03-01 12:00:00 UTC: its log says why."
        " If it is not to be: `python -m webhooks --unregister`."
    ]
    world.now += timedelta(minutes=20)
    os.utime(sign, (world.now.timestamp(), world.now.timestamp()))
    world.ran("ok", minutes=10)
    assert world.told() == ["boxoffice: the listener is at work again, or no longer to be."]
    sign.unlink()
    world.ran("ok")
    assert world.told() == []  # it never was here


def test_two_processes_do_not_tell_the_same(world: World) -> None:
    world.ran("look")
    with sqlite3.connect(world.settings.ops_path) as other:
        assert len(world.told()) == 1
        alerts.look(world.settings, other, world.now)
    assert len(world.chat.said) == 1


def test_who_has_not_opened_the_ops_file_tells_too(world: World, tmp_path: Path) -> None:
    alerts.look_from_outside(replace(world.settings, ops_path=tmp_path / "none.sqlite"))
    (tmp_path / "odd.sqlite").write_bytes(b"no database" * 100)
    alerts.look_from_outside(replace(world.settings, ops_path=tmp_path / "odd.sqlite"))
    assert world.chat.said == []
    world.ran("refused")
    alerts.look_from_outside(world.settings)
    assert any("was not possible" in text for text in world.chat.said)


def test_a_run_that_crashes_or_cannot_begin_tells_it_where_nobody_else_does(
    command: Command, chat: Chat, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        command("-c", CRASH, environ={"ALERT_WEBHOOK_URL": chat.url})
    assert [said.endswith("UTC crashed: `make status`.") for said in chat.said] == [True]
    url = {"ALERT_WEBHOOK_URL": chat.url}
    with sqlite3.connect(tmp_path / "data" / "ops.sqlite") as connection:
        connection.execute("update runs set status = 'ok', started_at = '2026-01-01 00:00:00'")
    with lock.held(tmp_path / "data" / "ops.lock", "listen", wait_seconds=0):
        assert command("-m", "boxoffice", "run", environ=url).code == 2
    assert "no run since 2026-01-01 00:00:00 UTC" in chat.said[-1]
    (tmp_path / "data" / "warehouse.duckdb").write_bytes(b"nothing" * 9999)
    assert command("-m", "boxoffice", "run", environ=url).code == 2
    assert "the run could not begin: " in chat.said[-1]


def test_what_a_run_did_and_could_not_keep_is_told(
    settings: Settings, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: ops.Ops, days: int) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    for name, value in {**environment(settings.ops_path.parents[1]), "ALERT_WEBHOOK_URL": chat.url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ops.Ops, "drop_old", full)
    assert session.conduct("run", lambda session: None, as_json=True) == 1
    assert chat.said == ["boxoffice: what the run did could not be kept: The disk is full."]


def test_a_command_that_fails_tells_it_without_a_person(command: Command, chat: Chat, tmp_path: Path) -> None:
    for _ in range(2):
        assert command("-c", CONDUCT, environ={"ALERT_WEBHOOK_URL": chat.url}).code == 1
    [said] = chat.said
    assert said.endswith("needs a look (sheets failed): `make status`.")
