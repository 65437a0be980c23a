"""The inbox: every notice that arrived, stored before it was answered, and what became of it.

It lies in the ops file. The receiver adds, the worker settles, each by a connection of its own and in
short transactions, so that neither needs the lock and a `run` may be at work meanwhile. Nothing that a notice
says is believed but which object it is about: what that has become is asked of Eventbrite.

States: new (its object has to be fetched), done, ignored (nothing to fetch), refused (not to be fetched),
parked (failed too often; the next `run` brings its object). All but new are settled.
"""

import json
import math
import re
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from boxoffice import lock, ops
from boxoffice.calls import parsed
from boxoffice.errors import BoxofficeError, ConfigurationError
from boxoffice.settings import Settings

# Eventbrite sends several notices of an object within a second, and the object settles meanwhile.
QUIET = 0.5  # seconds after the last notice of an object
LONGEST_QUIET = 3.0  # seconds after the first, however many follow
MOST_POINTERS = 500
# What the inbox may take of the disk. Above it the oldest settled notices go, then nothing more is taken.
MOST_NOTICES = 500_000
MOST_BYTES = 256 << 20
BUSY = 5.0  # seconds to wait for another process's transaction

ACTIONS = frozenset(
    {
        *("order.placed", "order.updated", "order.refunded"),
        *("attendee.updated", "attendee.checked_in", "attendee.checked_out"),
        *("barcode.checked_in", "barcode.un_checked_in"),  # what older hooks call check-ins
        *("event.created", "event.updated", "event.published", "event.unpublished"),
        *("ticket_class.created", "ticket_class.updated", "ticket_class.deleted"),
        *("venue.updated", "organizer.updated"),
    }
)
_ID = r"[A-Za-z0-9_-]{1,64}"
_PATHS = (
    ("order", re.compile(rf"/orders/(?P<id>{_ID})/?")),
    ("attendee", re.compile(rf"/events/(?P<parent>{_ID})/attendees/(?P<id>{_ID})/?")),
    ("ticket_class", re.compile(rf"/events/(?P<parent>{_ID})/ticket_classes/(?P<id>{_ID})/?")),
    ("event", re.compile(rf"/events/(?P<id>{_ID})/?")),
    ("venue", re.compile(rf"/venues/(?P<id>{_ID})/?")),
    ("organizer", re.compile(rf"/organizers/(?P<id>{_ID})/?")),
)


class Full(BoxofficeError):
    """The inbox holds as much as it may, and all of it still has to be worked on."""


@dataclass(frozen=True)
class Notice:
    """A request as it came. received_at: seconds since the epoch. headers: those that tell something."""

    received_at: float
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reading:
    """What a notice says. type, id: of the object to fetch, where state is `new`; parent_id: of an attendee
    or a ticket class, its event. reason: why there is nothing to fetch."""

    state: str
    action: str | None = None
    type: str | None = None
    id: str | None = None
    parent_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Pointer:
    """An object that notices are about.

    notices: their ids; those that arrive while it is fetched are not among them, and make it due again.
    attempts: how often it was tried in vain. first_received_at: when the oldest came, in seconds since the
    epoch.
    """

    type: str  # order, attendee, event, ticket_class, venue or organizer
    id: str
    parent_id: str | None
    notices: tuple[int, ...]
    attempts: int = 0
    first_received_at: float = 0.0


def read(body: bytes, api_url: str) -> Reading:
    """What a notice with this body says.

    Args:
        api_url: where Eventbrite's API is: an address elsewhere is refused, as the token would travel there.
    """
    found = parsed(body)
    if found is None:
        return Reading("refused", reason="no JSON object")
    config = found.get("config")
    action = config.get("action") if isinstance(config, dict) else None
    if not isinstance(action, str) or not re.fullmatch(r"[a-z_.]{1,64}", action):
        return Reading("refused", reason="no action")
    if action == "test":
        return Reading("ignored", action, reason="a test")
    if action not in ACTIONS:
        return Reading("ignored", action, reason="an unknown action")
    address = found.get("api_url")
    if not isinstance(address, str):
        return Reading("refused", action, reason="no api_url")
    path = _path_below(api_url, address)
    if path is None:
        return Reading("refused", action, reason="api_url is not of Eventbrite's API")
    for kind, shape in _PATHS:
        if match := shape.fullmatch(path):
            return Reading("new", action, kind, match["id"], match.groupdict().get("parent"))
    return Reading("ignored", action, reason="an unknown kind of object")


def _path_below(base: str, address: str) -> str | None:
    """The path of `address` below `base`; None when it is elsewhere, or anything but a plain path."""
    try:
        ours, theirs = urlsplit(base), urlsplit(address)
        is_there = (ours.scheme, ours.hostname, _port(ours)) == (
            theirs.scheme,
            theirs.hostname,
            _port(theirs),
        )
    except ValueError:
        return None
    is_plain = "@" not in theirs.netloc and not theirs.query and not theirs.fragment
    if not is_there or not is_plain or not theirs.path.startswith(f"{ours.path}/"):
        return None
    return theirs.path.removeprefix(ours.path)


def _port(parts: SplitResult) -> int | None:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class Inbox:
    """An open inbox. Every method is one transaction; one thread at a time uses it.

    Args:
        api_url: of Eventbrite's API. secret: the one of the receiver's address, which is blotted out.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        api_url: str,
        secret: str | None = None,
        *,
        clock: Callable[[], float] = time.time,
        most_notices: int = MOST_NOTICES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._connection, self._api_url, self._clock = connection, api_url, clock
        self._secret = (secret or "").encode()
        self._most = (most_notices, most_bytes)
        self._held = self._measured()

    # -- the receiver's side

    def store(self, notices: Sequence[Notice]) -> None:
        """Store notices, all or none; on return they survive a power cut.

        Raises:
            Full: there is no room.
            sqlite3.Error: the disk is full, or another process does not let go of the file.
        """
        rows = [self._row(notice) for notice in notices]
        more = (len(rows), sum(len(row[1]) + len(row[2]) for row in rows))
        self._make_room(more)
        with self._connection:
            self._connection.executemany(
                "insert into inbox (received_at, headers, body, state, action, object_type, object_id,"
                " parent_id, error, settled_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
        self._held = (self._held[0] + more[0], self._held[1] + more[1])

    def _row(self, notice: Notice) -> tuple[Any, ...]:
        said = read(notice.body, self._api_url)
        moment = _text(notice.received_at)
        body = notice.body.replace(self._secret, b"***") if self._secret else notice.body
        return (
            moment,
            json.dumps(notice.headers),
            body,
            said.state,
            said.action,
            said.type,
            said.id,
            said.parent_id,
            said.reason,
            None if said.state == "new" else moment,
        )

    def _make_room(self, more: tuple[int, int]) -> None:
        if self._fits(more):
            return
        self._held = self._measured()
        while not self._fits(more):
            with self._connection:
                gone = self._connection.execute(
                    "delete from inbox where notice_id in (select notice_id from inbox"
                    " where settled_at is not null order by settled_at limit 1000)"
                ).rowcount
            if not gone:
                raise Full(
                    f"{self._held[0]:,} notices wait to be worked on, which is as many as are kept.",
                    "`make status` tells what keeps the worker from them.",
                )
            self._held = self._measured()

    def _fits(self, more: tuple[int, int]) -> bool:
        return all(held + new <= most for held, new, most in zip(self._held, more, self._most, strict=True))

    def _measured(self) -> tuple[int, int]:
        measured = "select count(*), coalesce(sum(length(headers) + length(body)), 0) from inbox"
        rows, size = self._connection.execute(measured).fetchone()
        return rows, size

    # -- the worker's side

    def due(self, now: float) -> list[Pointer]:
        """The objects to fetch now, at most MOST_POINTERS, those that wait longest first.

        An object is due once nothing came of it for QUIET seconds, or LONGEST_QUIET after its first notice.
        One that is to be tried again later is due then, or when another notice comes.
        """
        asked = (_text(now - QUIET), _text(now - LONGEST_QUIET), _text(now), MOST_POINTERS)
        rows = self._connection.execute(_DUE, asked).fetchall()
        return [
            Pointer(
                type=kind,
                id=identity,
                parent_id=parent,
                notices=tuple(sorted(map(int, notices.split(",")))),
                attempts=attempts,
                first_received_at=_seconds(received),
            )
            for kind, identity, parent, notices, attempts, received in rows
        ]

    def next_due(self, now: float) -> float | None:
        """Seconds until an object is due; 0 when one is, None when none waits."""
        moments = [
            min(
                *((_seconds(newest) + QUIET, _seconds(oldest) + LONGEST_QUIET) if newest else (math.inf,)),
                _seconds(put_off) if put_off else math.inf,
            )
            for newest, oldest, put_off in self._connection.execute(_WHEN)
        ]
        return max(0.0, min(moments) - now) if moments else None

    def done(self, pointers: Collection[Pointer], run_id: int | None = None, why: str | None = None) -> None:
        """Settle them. `why`: what there is to tell, as that the object was not to be found."""
        self._settle("done", pointers, run_id, why, None)

    def park(
        self,
        pointers: Collection[Pointer],
        error: str,
        api_error_id: int | None = None,
        run_id: int | None = None,
    ) -> None:
        """Give them up, with what was wrong: the next `run` brings their objects, `status` tells of them."""
        self._settle("parked", pointers, run_id, error, api_error_id)

    def _settle(
        self,
        state: str,
        pointers: Collection[Pointer],
        run_id: int | None,
        error: str | None,
        api_error_id: int | None,
    ) -> None:
        now = _text(self._clock())
        with self._connection:
            self._connection.executemany(
                "update inbox set state = ?, settled_at = ?, run_id = ?, error = ?, api_error_id = ?"
                " where notice_id = ?",
                [
                    (state, now, run_id, error, api_error_id, notice)
                    for pointer in pointers
                    for notice in pointer.notices
                ],
            )

    def retry(
        self,
        pointers: Collection[Pointer],
        at: float,
        error: str,
        api_error_id: int | None = None,
    ) -> None:
        """Try them again at this time, in seconds since the epoch; it counts as an attempt of theirs."""
        moment = _text(at)
        with self._connection:
            self._connection.executemany(
                "update inbox set not_before = ?, attempts = ?, error = ?, api_error_id = ?"
                " where notice_id = ?",
                [
                    (moment, pointer.attempts + 1, error, api_error_id, notice)
                    for pointer in pointers
                    for notice in pointer.notices
                ],
            )

    def counts(self) -> dict[str, int]:
        """Notices by state."""
        return dict(self._connection.execute("select state, count(*) from inbox group by state").fetchall())

    def waiting(self) -> int:
        """Notices that are not settled."""
        found = self._connection.execute("select count(*) from inbox where settled_at is null")
        return int(found.fetchone()[0])


# Of each object: when its newest and oldest notice came of those that were not tried, when the first is to be
# tried again of those that were.
_GROUPED = "from inbox where settled_at is null group by object_type, object_id"
_NEWEST = "max(case when not_before is null then received_at end)"
_OLDEST = "min(case when not_before is null then received_at end)"
_WHEN = f"select {_NEWEST}, {_OLDEST}, min(not_before) {_GROUPED}"
_DUE = f"""
    select
        object_type, object_id, max(parent_id), group_concat(notice_id), max(attempts), min(received_at)
    {_GROUPED}
    having {_NEWEST} <= ? or {_OLDEST} <= ? or min(not_before) <= ?
    order by min(received_at)
    limit ?
"""


@contextmanager
def opened(path: Path, api_url: str, secret: str | None = None, **options: Any) -> Iterator[Inbox]:
    """The inbox in the ops file at `path`, which must be of this version (see `prepare`). Needs no lock.

    Raises:
        ConfigurationError: it is of another version.
    """
    with closing(connected(path)) as connection:
        version = connection.execute("pragma user_version").fetchone()[0]
        if version != len(ops.MIGRATIONS):
            raise ConfigurationError(f"{path} was written by another version of boxoffice.", "Start again.")
        yield Inbox(connection, api_url, secret, **options)


def connected(path: Path) -> sqlite3.Connection:
    """A connection to the ops file whose commits survive a power cut."""
    # One thread at a time: the writer's, or who opened it.
    connection = sqlite3.connect(path, timeout=BUSY, check_same_thread=False)
    connection.execute("pragma synchronous = full")
    return connection


def prepare(settings: Settings) -> None:
    """Make the ops file, or bring it to this version, where that is to be done: only then the lock is needed.

    Raises:
        LockedError: it is to be done, and another command holds the lock.
        ConfigurationError: the file is damaged, or of a newer version.
    """
    if settings.ops_path.exists():
        with closing(sqlite3.connect(settings.ops_path, timeout=BUSY)) as connection:
            try:
                if connection.execute("pragma user_version").fetchone()[0] == len(ops.MIGRATIONS):
                    return
            except sqlite3.DatabaseError:
                pass  # told below
    wait = settings.lock_wait_seconds
    with lock.held(settings.lock_path, "listen", wait_seconds=wait), ops.opened(settings.ops_path):
        pass


def _text(seconds: float) -> str:
    """UTC with milliseconds, which sorts like every other time in the ops file."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
