"""`python -m webhooks`: what it refuses, and a listener at work between a stand-in and a worker."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from boxoffice import alerts, ops
from boxoffice import settings as settings_module
from boxoffice.settings import ROOT
from sandbox.server import StandIn, running
from tests.python.boxoffice.conftest import environment, process_environment
from webhooks import inbox
from webhooks.__main__ import REGISTERED_AGAIN, REGISTERED_EVERY, _Registrar, _tell, main
from webhooks.addresses import Address
from webhooks.keeper import Keeper
from webhooks.receiver import listening

SECRET = "k3yk3yk3yk3yk3yk3yk3y"
ORGANIZATION = "700000000001"
# A worker that notes what it is told, and ends with its pipe.
# Each line by one write, as the listener writes to the same pipe.
WORKER = (
    "import os, sys; [os.write(1, b'told ' + line.encode()) for line in sys.stdin]; os.write(1, b'ended\\n')"
)
LISTEN = (
    "import sys; from webhooks import __main__ as it;"
    f" it.LOOKED_EVERY = 0.05; it.WORKER = (sys.executable, '-c', {WORKER!r}); it.main()"
)
WITHIN = 60  # seconds


def until(is_so: Callable[[], Any]) -> Any:
    ends = time.monotonic() + WITHIN
    while not (found := is_so()) and time.monotonic() < ends:
        time.sleep(0.02)
    assert found
    return found


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"EVENTBRITE_TOKEN": ""}, "EVENTBRITE_TOKEN is not set"),
        ({"WEBHOOK_URL": ""}, "WEBHOOK_URL is not set"),
        ({"WEBHOOK_URL": "http://hooks.example.org"}, "WEBHOOK_URL is not an https address"),
        ({"WEBHOOK_URL": "https://hooks.example.org:8443"}, "WEBHOOK_URL names port 8443"),
        ({"WEBHOOK_SECRET": ""}, "WEBHOOK_SECRET is not set"),
        ({"WEBHOOK_SECRET": "short"}, "WEBHOOK_SECRET is not made of 20"),
        ({"WEBHOOK_SECRET": f"{SECRET}/../x"}, "WEBHOOK_SECRET is not made of 20"),
        ({"WEBHOOK_HOST": "no such host"}, "WEBHOOK_HOST is 'no such host'"),
    ],
)
def test_what_cannot_work_is_refused_with_the_setting(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    changed: dict[str, str],
    words: str,
) -> None:
    whole = {
        "EVENTBRITE_TOKEN": "sandbox",
        "WEBHOOK_URL": "https://hooks.example.org",
        "WEBHOOK_SECRET": SECRET,
        "WEBHOOK_PORT": "0",
    }
    for name, value in process_environment(tmp_path, {**whole, **changed}).items():
        monkeypatch.setenv(name, value)
    ended = CliRunner().invoke(main, ["--json"])
    assert ended.exit_code == 2
    assert words in json.loads(ended.stdout)["problems"][0]["problem"]
    assert SECRET not in ended.output


class Listening:
    """A listener in a process of its own."""

    def __init__(self, folder: Path, stand_in: StandIn, *words: str, **changed: str) -> None:
        settings = {
            "EVENTBRITE_API_URL": stand_in.eventbrite,
            "EVENTBRITE_TOKEN": stand_in.token,
            "WEBHOOK_SECRET": SECRET,
            **changed,
        }
        self.ops_path = folder / "data" / "ops.sqlite"
        self.process = subprocess.Popen(
            [sys.executable, "-c", LISTEN, *words],
            cwd=ROOT,
            env=process_environment(folder, settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def ended(self, number: int | None = None) -> int:
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(WITHIN)
        self._reader.join(WITHIN)
        assert "Traceback" not in self.said, self.said
        return code

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.ops_path)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    objects: dict[str, list[Any]] = {
        "user": [{"id": "900000000001"}],
        "organizations": [{"id": ORGANIZATION}],
        "events": [{"id": "80", "organization_id": ORGANIZATION, "status": "live"}],
    }
    with running(objects=objects) as found:
        yield found


@contextmanager
def free_port() -> Iterator[int]:
    with closing(listening("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield port


def stream(url: str, api_url: str, answered: list[str]) -> None:
    """Send notices, each once the one before is answered, until nobody is there; the ids of those that were
    answered 200."""
    with requests.Session() as session, suppress(requests.RequestException):
        for number in range(1000, 3000):
            notice = {"config": {"action": "order.placed"}, "api_url": f"{api_url}/orders/{number}/"}
            if session.post(url, json=notice, timeout=10).status_code == 200:
                answered.append(str(number))


def test_a_sale_reaches_the_inbox_and_a_kill_loses_nothing(tmp_path: Path, stand_in: StandIn) -> None:
    with free_port() as port:
        changed = {"WEBHOOK_URL": f"http://127.0.0.1:{port}", "WEBHOOK_PORT": str(port)}
        first = Listening(tmp_path, stand_in, **changed)
        until(lambda: "1 made" in first.said or first.process.poll() is not None)
        stand_in.put(orders=[{"id": "11", "event_id": "80"}])
        until(lambda: stand_in.deliveries()["deliveries"])
        until(lambda: not stand_in.deliveries()["open"])
        assert {each["status"] for each in stand_in.deliveries()["deliveries"]} == {200}
        answered = ["11"]
        url = f"http://127.0.0.1:{port}/{SECRET}"
        sender = threading.Thread(target=stream, args=(url, stand_in.eventbrite, answered))
        sender.start()
        until(lambda: len(answered) > 20)
        assert first.ended(signal.SIGKILL) == -signal.SIGKILL
        sender.join(WITHIN)
        stored = {row[0] for row in first.rows("select object_id from inbox where state = 'new'")}
        assert set(answered) <= stored

        second = Listening(tmp_path, stand_in, **changed)
        until(lambda: "sends what changes" in second.said or second.process.poll() is not None)
        health = requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).json()
        assert health["status"] == "ok"
        waiting = first.rows("select count(*) from inbox")[0][0]
        assert health["waiting"] == waiting >= 23
        assert second.ended(signal.SIGTERM) == 0
    assert f"Stopped. 0 notices came, {waiting} wait" in second.said
    assert " made" not in second.said  # the webhook of the first was adopted
    for said in (first.said, second.said):
        assert SECRET not in said
        assert "told {}" in said
        assert "Nothing of Eventbrite has been loaded yet: `make run`" in said
    # The worker of the one that was killed heard of notices, and ended with it.
    assert "told \n" in first.said
    assert first.said.rstrip().endswith("ended")

    gone = Listening(tmp_path, stand_in, "--unregister", "--json")
    assert gone.ended() == 0
    assert json.loads(gone.said)["deleted"] == 1


def test_a_listener_tells_of_a_schedule_that_stands_still(tmp_path: Path, stand_in: StandIn) -> None:
    url = {"WEBHOOK_URL": "http://127.0.0.1:1", "WEBHOOK_PORT": "0"}
    with closing(listening("127.0.0.1", 0)) as chat:
        (tmp_path / "data").mkdir()
        with ops.opened(tmp_path / "data" / "ops.sqlite") as store:
            run_id = store.begin_run("run", datetime(2026, 3, 1, tzinfo=UTC), is_sandbox=False)
            store.add_step(run_id, "eventbrite", status="ok", seconds=1.0, rows=(1, 1, 0))
            with store.connection as connection:
                connection.execute("update runs set started_at = '2026-03-01 12:00:00'")
        address = f"http://127.0.0.1:{chat.getsockname()[1]}/"
        listener = Listening(tmp_path, stand_in, ALERT_WEBHOOK_URL=address, **url)
        chat.settimeout(WITHIN)
        caller, _ = chat.accept()
        with closing(caller):
            said = b""
            while b"}" not in said:
                said += caller.recv(4096)
            caller.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        assert listener.ended(signal.SIGTERM) == 0
    assert b"no run since 2026-03-01 12:00:00 UTC" in said
    assert "Nothing" not in listener.said


def test_an_alert_that_fails_keeps_no_later_one_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = settings_module.load(environment(tmp_path))
    settings.ops_path.parent.mkdir()
    is_over, looked, said = threading.Event(), list[int](), list[str]()

    def look(_: Any) -> None:
        looked.append(1)
        if len(looked) > 2:
            is_over.set()
        raise ZeroDivisionError

    monkeypatch.setattr("webhooks.__main__.LOOKED_EVERY", 0.001)
    monkeypatch.setattr("boxoffice.alerts.look_from_outside", look)
    monkeypatch.setattr("boxoffice.alerts.say", lambda _, text: said.append(text))
    _tell(settings, is_over, lambda: len(looked) != 1)
    assert len(looked) == 3
    assert said == ["notices of Eventbrite cannot be stored: the listener's log says why."]
    assert alerts.sign_of_listener(settings).exists()


def test_a_refused_token_ends_it(tmp_path: Path, stand_in: StandIn) -> None:
    url = {"WEBHOOK_URL": "http://127.0.0.1:1", "WEBHOOK_PORT": "0"}
    refused = Listening(tmp_path, stand_in, EVENTBRITE_TOKEN="nobody", **url)
    assert refused.ended() == 2
    assert "EVENTBRITE_TOKEN is refused" in refused.said
    assert refused.rows("select rule_id, run_id from api_errors") == [("TokenRefused", None)]


def test_what_may_be_left_after_unregistering_is_told(
    tmp_path: Path, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"EVENTBRITE_API_URL": stand_in.eventbrite, "EVENTBRITE_TOKEN": stand_in.token}
    for name, value in process_environment(tmp_path, environ).items():
        monkeypatch.setenv(name, value)
    stand_in.fault("forbid", path="/webhooks/")
    ended = CliRunner().invoke(main, ["--unregister", "--json"])
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["withheld"] == [ORGANIZATION]
    assert ORGANIZATION in ended.stderr


class Said:
    """A terminal as far as it is needed."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_what_goes_wrong_later_ends_no_listener(tmp_path: Path, stand_in: StandIn) -> None:
    environ = environment(tmp_path) | {
        "EVENTBRITE_API_URL": stand_in.eventbrite,
        "EVENTBRITE_TOKEN": "sandbox",
    }
    settings, terminal, ended = settings_module.load(environ), Said(), list[int]()
    inbox.prepare(settings)
    address = Address("https://hooks.example.org", SECRET)

    def registrar() -> _Registrar:
        return _Registrar(settings, address, terminal, lambda: ended.append(1))  # type: ignore[arg-type]

    at_work = registrar()
    assert at_work.look() == REGISTERED_EVERY
    refused: dict[str, Any] = {"status": 401, "error": "INVALID_AUTH"}
    for kind, more in (("forbid", {}), ("answer", refused)):
        stand_in.fault(kind, path="/webhooks/", times=99, **more)
        assert [at_work.look() for _ in range(2)] == [REGISTERED_AGAIN] * 2
        stand_in.clear_faults()
    with closing(sqlite3.connect(settings.ops_path)) as other:
        other.execute("alter table hooks rename to mislaid")
        assert at_work.look() == REGISTERED_AGAIN
        other.execute("alter table mislaid rename to hooks")
    assert (at_work.look(), at_work.trouble, ended) == (REGISTERED_EVERY, None, [])
    assert [said.split(" ")[0] for said in terminal.said] == [
        *("Eventbrite", "EVENTBRITE_TOKEN", "EVENTBRITE_TOKEN", "Webhooks", "Eventbrite"),
    ]
    stand_in.fault("forbid", path="/webhooks/", times=99)
    assert registrar().look() == 0.0
    assert ended == [1]


def test_a_worker_that_dies_is_started_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    marks = tmp_path / "marks"
    dies = f"import os, sys; open({str(marks)!r}, 'a').write(sys.stdin.readline()); os._exit(3)"
    keeper = Keeper([sys.executable, "-c", dies], {"a": 1}, first_pause=0.01)
    keeper.start()
    until(lambda: keeper.deaths >= 2)
    keeper.stop()
    assert marks.read_text().splitlines()[:2] == ['{"a": 1}'] * 2
    assert keeper.state == "stopped"
    for _ in range(3):
        keeper.poke()  # nobody is there to hear


def test_a_worker_that_does_not_read_stops_nobody() -> None:
    deaf = Keeper([sys.executable, "-c", "import time; time.sleep(600)"], {})
    deaf.start()
    until(lambda: deaf.state == "running")
    for _ in range(70_000):  # more than a pipe holds
        deaf.poke()
    process = deaf._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    deaf.stop()
