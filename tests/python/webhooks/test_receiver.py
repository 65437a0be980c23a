"""The receiver over real HTTP: what is answered, and that 200 means stored."""

import http.client
import itertools
import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from boxoffice import ops
from boxoffice.errors import ConfigurationError
from webhooks import inbox
from webhooks.inbox import Full, Inbox
from webhooks.receiver import Buckets, Receiver, Server, listening

API = "https://www.eventbriteapi.com/v3"
SECRET = "k3yk3yk3yk3yk3yk3yk3y"
HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "Eventbrite Hookshot 1234567",
    "X-Eventbrite-Event": "order.placed",
    "X-Eventbrite-Delivery": "2000001",
    "User-ID-Sender": "700000000001",
    "Cookie": "not kept",
}


def body(identity: int = 11, base: str = API) -> bytes:
    return json.dumps(
        {"config": {"action": "order.placed"}, "api_url": f"{base}/orders/{identity}/"}
    ).encode()


class Held(Inbox):
    """An inbox whose commits wait for `go`, and fail with `trouble` where there is one."""

    go: threading.Event
    entered: threading.Event
    trouble: Exception | None = None
    commits: list[int]

    def store(self, notices: Any) -> None:
        self.entered.set()
        assert self.go.wait(20)
        if self.trouble:
            raise self.trouble
        self.commits.append(len(notices))
        super().store(notices)


class Running:
    def __init__(self, port: int, box: Held, path: Path, server: Server) -> None:
        self.port, self.box, self.path, self.server = port, box, path, server

    def ask(
        self, method: str, path: str, sent: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, dict[str, str]]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, sent, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), {k.lower(): v for k, v in answer.getheaders()}

    def post(self, sent: Any, path: str = f"/{SECRET}") -> int:
        return self.ask("POST", path, sent, HEADERS)[0]

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()


@contextmanager
def receiving(folder: Path, **options: Any) -> Iterator[Running]:
    path = folder / "ops.sqlite"
    with ops.opened(path):
        pass
    with closing(inbox.connected(path)) as connection:
        box = Held(connection, API, SECRET)
        box.go, box.entered, box.commits = threading.Event(), threading.Event(), []
        box.go.set()
        is_ready = threading.Event()
        server = Server(Receiver(box, SECRET, **options), is_ready.set)
        listener = listening("127.0.0.1", 0)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        assert is_ready.wait(20)
        try:
            yield Running(listener.getsockname()[1], box, path, server)
        finally:
            box.go.set()
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Running]:
    with receiving(tmp_path) as running:
        yield running


def test_a_notice_is_stored_and_answered(receiver: Running) -> None:
    assert receiver.post(body()) == 200
    # Where the proxy leaves its own part of the path.
    assert receiver.post(body(12), f"/hooks/{SECRET}/") == 200
    rows = receiver.rows("select state, object_id, headers from inbox order by notice_id")
    assert [row[:2] for row in rows] == [("new", "11"), ("new", "12")]
    kept = json.loads(rows[0][2])
    assert kept == {name.lower(): value for name, value in HEADERS.items() if name != "Cookie"}
    status, text, headers = receiver.ask("GET", "/healthz")
    assert (status, json.loads(text)) == (200, {"status": "ok", "waiting": 2, "worker": "none"})
    assert "server" not in headers


def test_junk_is_stored_and_large_bodies_are_not(receiver: Running) -> None:
    junk = [b"", b"\x00\xff", b"[" * 60_000, body(base="https://evil.example/v3"), b"null"]
    assert [receiver.post(sent) for sent in junk] == [200] * 5
    million = b"x" * 1_000_000
    assert receiver.post(million) == 413
    assert receiver.post(iter([million[:40_000]] * 3)) == 413  # no length told
    assert receiver.post(body()) == 200
    states = receiver.rows("select state, count(*) from inbox group by state order by state")
    assert states == [("new", 1), ("refused", 5)]


def test_only_a_post_to_the_secret_path_is_a_notice(receiver: Running) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        status, _, headers = receiver.ask(method, f"/{SECRET}")
        assert (status, headers["allow"]) == (405, "POST")
    for path in ("/", f"/{SECRET}x", f"/{SECRET[:-1]}", f"/{SECRET}/x", "/%ff", f"/x?{SECRET}"):
        assert receiver.ask("POST", path, body())[0] == 404
    assert receiver.rows("select count(*) from inbox") == [(0,)]


def test_wrong_paths_are_limited_and_the_right_one_never(tmp_path: Path) -> None:
    with receiving(tmp_path, ticks=lambda: 5.0) as running:
        found = [running.ask("GET", "/guess")[0] for _ in range(22)]
        assert found == [404] * 20 + [429] * 2
        assert running.post(body()) == 200
        other = running.ask("GET", "/guess", headers={"X-Forwarded-For": "192.0.2.7"})
        assert other[0] == 404


def test_buckets_fill_again_and_are_bounded() -> None:
    now = 0.0
    buckets = Buckets(lambda: now, burst=2, seconds=6, most=3)
    assert [buckets.take("192.0.2.1") for _ in range(3)] == [True, True, False]
    now = 6.0
    assert [buckets.take("192.0.2.1") for _ in range(2)] == [True, False]
    assert [buckets.take(f"2001:db8::{each}") for each in range(3)] == [True, True, False]
    assert [buckets.take(f"::ffff:203.0.113.{each}") for each in range(4)] == [True] * 4
    for each in range(9):
        buckets.take(f"198.51.100.{each}")
    assert len(buckets._left) == 3


def test_a_burst_costs_few_commits_and_waits_for_them(tmp_path: Path) -> None:
    stored: list[int] = []
    with receiving(tmp_path, on_stored=lambda: stored.append(1)) as running:
        running.box.go.clear()
        with ThreadPoolExecutor(20) as pool:
            answers = [pool.submit(running.post, body(each)) for each in range(20)]
            assert running.box.entered.wait(20)
            assert not any(answer.done() for answer in answers)
            running.box.go.set()
            assert {answer.result() for answer in answers} == {200}
        assert running.rows("select count(distinct object_id) from inbox") == [(20,)]
        assert len(running.box.commits) == len(stored) < 20


def test_above_capacity_the_sender_is_told_to_come_again(tmp_path: Path) -> None:
    with receiving(tmp_path, most_waiting=1) as running:
        running.box.go.clear()
        with ThreadPoolExecutor(6) as pool:
            answers = [pool.submit(running.ask, "POST", f"/{SECRET}", body())]
            assert running.box.entered.wait(20)
            answers += [pool.submit(running.ask, "POST", f"/{SECRET}", body(each)) for each in range(5)]
            while sum(answer.done() for answer in answers) < 4:
                threading.Event().wait(0.01)
            running.box.go.set()
            found = [answer.result() for answer in answers]
        assert sorted(status for status, _, _ in found) == [200, 200, 503, 503, 503, 503]
        assert all(headers["retry-after"] == "10" for status, _, headers in found if status == 503)
        assert running.rows("select count(*) from inbox") == [(2,)]


@pytest.mark.parametrize(
    "trouble",
    [
        sqlite3.OperationalError("database or disk is full"),
        sqlite3.OperationalError("database is locked"),
        OSError(28, "No space left on device"),
        Full("3 notices wait."),
        ZeroDivisionError("nobody foresaw this"),
    ],
)
def test_what_cannot_be_stored_is_never_answered_200(receiver: Running, trouble: Exception) -> None:
    receiver.box.trouble = trouble
    assert [receiver.post(body()) for _ in range(2)] == [503, 503]
    status, text, _ = receiver.ask("GET", "/healthz")
    assert (status, json.loads(text)["status"]) == (503, "cannot store notices")
    receiver.box.trouble = None
    assert receiver.post(body()) == 200
    assert receiver.rows("select count(*) from inbox") == [(1,)]


def test_an_inbox_that_cannot_be_read_is_told_by_its_health(tmp_path: Path) -> None:
    with receiving(tmp_path, ticks=itertools.count(step=2).__next__) as running:
        assert running.ask("GET", "/healthz")[0] == 200
        with sqlite3.connect(running.path) as other:
            other.execute("alter table inbox rename to mislaid")
        assert running.ask("GET", "/healthz")[0] == 503
        other.execute("alter table mislaid rename to inbox")
        assert running.post(body()) == 200
        assert running.ask("GET", "/healthz")[0] == 200
        other.close()


def test_a_full_disk_is_503(receiver: Running) -> None:
    pages = receiver.box._connection.execute("pragma page_count").fetchone()[0]
    receiver.box._connection.execute(f"pragma max_page_count = {pages}")
    large = b'{"config": {"action": "' + b"x" * 60_000 + b'"}}'
    assert receiver.post(large) == 503
    receiver.box._connection.execute(f"pragma max_page_count = {pages + 1000}")
    assert receiver.post(large) == 200


def test_another_process_that_writes_for_long_is_503(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "BUSY", 0.05)
    with receiving(tmp_path) as running, closing(sqlite3.connect(running.path)) as other:
        other.execute("begin immediate")
        assert running.post(body()) == 503
        other.rollback()
        assert running.post(body()) == 200


def test_a_body_that_does_not_come_is_not_waited_for(
    receiver: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks.receiver.BODY_WITHIN", 0.05)
    with closing(http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=20)) as connection:
        connection.putrequest("POST", f"/{SECRET}")
        connection.putheader("Content-Length", "500")
        connection.endheaders(b"half of it")
        assert connection.getresponse().status == 408


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side closes it although bytes come one by one, once it has answered."""
    connection.settimeout(0.05)
    answered = b""
    for _ in range(200):
        try:
            if not (found := connection.recv(4096)):
                return True
            answered += found
        except TimeoutError:
            pass
        except ConnectionError:
            return True
        with suppress(ConnectionError):
            connection.send(b"x" * bool(answered))
    return False


POSTED = b"POST /guess HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n"


@pytest.mark.parametrize("begun", [b"", b"GET /", POSTED])
def test_a_connection_that_comes_to_no_end_is_closed(
    receiver: Running, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr("webhooks.receiver.ANSWER_WITHIN", 0.3)
    with closing(socket.create_connection(("127.0.0.1", receiver.port), timeout=20)) as connection:
        connection.sendall(begun)
        assert is_closed(connection)
    assert receiver.post(body()) == 200


def test_a_sender_that_hangs_up_leaves_nothing_and_harms_nobody(receiver: Running) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=20)) as connection:
        connection.putrequest("POST", f"/{SECRET}")
        connection.putheader("Content-Length", "500")
        connection.endheaders()
        connection.send(b"half of it")
    assert receiver.post(body()) == 200
    assert receiver.rows("select count(*) from inbox") == [(1,)]


def test_what_was_begun_is_ended_when_the_receiver_stops(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, receiving(tmp_path) as running:
        running.box.go.clear()
        answer = pool.submit(running.post, body())
        assert running.box.entered.wait(20)
        running.server.should_exit = True
        running.box.go.set()
        assert answer.result(20) == 200
        assert running.rows("select count(*) from inbox") == [(1,)]


@pytest.mark.parametrize(("host", "name"), [("no such host", "WEBHOOK_HOST"), ("127.0.0.1", "WEBHOOK_PORT")])
def test_an_address_that_cannot_be_listened_on_is_named(host: str, name: str) -> None:
    with closing(listening("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match=name):
        listening(host, taken.getsockname()[1])
