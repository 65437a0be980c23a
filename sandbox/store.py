"""What the stand-in remembers: one SQLite file, objects kept as the JSON text that goes over the wire.

A listing asks for row numbers in a fixed order (short ids before long ones, then by text), remembered until
something is written, and reads the bodies of one page only. Another process may write the same file: its
writes are noticed before the next answer.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from boxoffice.errors import BoxofficeError

Json = dict[str, Any]
VERSION = "1"
FILE = "eventbrite.sqlite"
KINDS = (
    "user",
    "organizations",
    "events",
    "venues",
    "ticket_classes",
    "orders",
    "attendees",
    "questions",
    "canned_questions",
    "discounts",
    "webhooks",
)
LEAN_COSTS = ("base_price", "eventbrite_fee", "gross", "payment_fee", "tax")
# Names that a client gets by `expand` only; `answers` and `logo` come with the object anyway.
EXPANSIONS: dict[str, tuple[str, ...]] = {
    "events": (
        "venue",
        "organizer",
        "format",
        "category",
        "subcategory",
        "ticket_classes",
        "ticket_availability",
        "event_sales_status",
        "checkout_settings",
        "refund_policy",
        "external_ticketing",
        "music_properties",
        "publish_settings",
        "basic_inventory_info",
        "listing_properties",
        "has_digital_content",
        "bookmark_info",
    ),
    "orders": (
        "event",
        "attendees",
        "merchandise",
        "refund_requests",
        "answers",
        "survey",
        "survey_responses",
        "ticket_buyer_settings",
        "contact_list_preferences",
        "concierge",
    ),
    "attendees": (
        "event",
        "order",
        "promotional_code",
        "survey",
        "survey_responses",
        "assigned_unit",
        "assigned_number",
        "contact_list_preferences",
    ),
    "discounts": ("event", "ticket_group", "reserved_seating"),
    "ticket_classes": ("event", "image"),
}
# Whose wire shape has no organization_id: who put the object said it with this key.
OWNED = ("venues", "discounts", "webhooks")
EVENT_OF = re.compile(r"/events/([^/]+)/")

SCHEMA = """
create table if not exists objects (
    number integer primary key, kind text not null, id text not null, organization_id text, event_id text,
    order_id text, venue_id text, series_id text, changed text, state text, unique (kind, id)
);
create index if not exists objects_by_organization on objects (kind, organization_id);
create index if not exists objects_by_event on objects (kind, event_id);
create index if not exists objects_by_order on objects (kind, order_id);
create table if not exists bodies (
    number integer primary key, body blob not null, lean blob, extras blob
);
create table if not exists pending (number integer primary key, due real not null, kind text, item blob);
create table if not exists meta (name text primary key, value blob not null);
"""


@dataclass(slots=True)
class Row:
    """One object: `body` without resource_uri and expansions, `lean` the organization listing's form of an
    order, `extras` the expansions that came with it."""

    kind: str
    id: str
    organization_id: str | None
    event_id: str | None
    order_id: str | None
    venue_id: str | None
    body: bytes
    lean: bytes | None
    extras: bytes | None

    @property
    def item(self) -> Json:
        parsed: Json = orjson.loads(self.body)
        return parsed


ROW = "kind, id, organization_id, event_id, order_id, venue_id, body, lean, extras"


class Store:
    """`clock` gives seconds since 1970: writes put in with a delay show once it has passed."""

    def __init__(self, state: Path | None, clock: Callable[[], float]) -> None:
        """`state` is a folder, made when missing; None keeps everything in memory.

        Raises BoxofficeError when the file is of another version.
        """
        self.clock = clock
        if state is not None:
            state.mkdir(parents=True, exist_ok=True)
        where = ":memory:" if state is None else str(state / FILE)
        try:
            # One thread at a time uses it: the server's loop, or who opened it before the server started.
            self.db = sqlite3.connect(where, isolation_level=None, check_same_thread=False, timeout=30)
            self.db.execute("pragma journal_mode = wal")
            self.db.execute("pragma synchronous = normal")
            self.db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise BoxofficeError(
                f"The sandbox's memory {where} cannot be read.",
                "Delete that file: the sandbox begins anew.",
            ) from error
        if self.recall("version", VERSION) != VERSION:
            raise BoxofficeError(
                f"The sandbox's memory {where} is of another version.", "Run `python -m sandbox reset`."
            )
        self._own_changes = 0
        self._version: tuple[int, int] | None = None
        self._listings: dict[tuple[Any, ...], list[int]] = {}
        self._views: dict[str, Any] = {}
        self._next_due: float | None = None
        self._look_ahead()
        self._snapshots: dict[str, sqlite3.Connection] = {}
        self.restored = 0  # how often a snapshot was put back

    def close(self) -> None:
        for kept in self._snapshots.values():
            kept.close()
        self.db.close()

    def snapshot(self, name: str) -> None:
        """Keep everything as it is now, in memory."""
        kept = self._snapshots.setdefault(name, sqlite3.connect(":memory:", check_same_thread=False))
        self.db.backup(kept)

    def restore(self, name: str) -> None:
        """Put a snapshot back. Raises KeyError when there is none of that name."""
        if name not in self._snapshots:
            raise KeyError(f"no such snapshot: {name}")
        self._snapshots[name].backup(self.db)
        self.restored += 1
        self._own_changes += 1
        self._look_ahead()

    # -- remembering

    def recall(self, name: str, otherwise: Any = None) -> Any:
        found = self.db.execute("select value from meta where name = ?", (name,)).fetchone()
        return otherwise if found is None else orjson.loads(found[0])

    def remember(self, name: str, value: Any) -> None:
        self.db.execute("insert or replace into meta values (?, ?)", (name, orjson.dumps(value, default=str)))

    # -- writing

    def put(self, objects: dict[str, list[Json]], *, delay: float = 0) -> None:
        """Add or replace objects by kind. With `delay`, reads show the former state for that many seconds.

        Raises KeyError for an unknown kind, or an object without id.
        """
        unknown = set(objects) - set(KINDS)
        if unknown:
            raise KeyError(f"no such kind: {', '.join(sorted(unknown))}")
        if delay > 0:
            due = self.clock() + delay
            self.db.executemany(
                "insert into pending (due, kind, item) values (?, ?, ?)",
                [(due, kind, orjson.dumps(item)) for kind, items in objects.items() for item in items],
            )
            self._look_ahead()
            return
        self.db.execute("begin immediate")
        try:
            # Events first: what belongs to an event belongs to its organization.
            for kind in sorted(objects, key=KINDS.index):
                self._put(kind, objects[kind])
            self.db.execute("commit")
        except BaseException:
            self.db.execute("rollback")
            raise
        self._own_changes += 1

    def _put(self, kind: str, items: Sequence[Json]) -> None:
        owner_of_event = dict(
            self.db.execute("select id, organization_id from objects where kind = 'events'").fetchall()
        )
        first = self.db.execute("select min(id) from objects where kind = 'organizations'").fetchone()[0]
        number = self.db.execute("select coalesce(max(number), 0) from objects").fetchone()[0]
        known = self._known(kind, items)
        narrow, wide = [], []
        for item in items:
            item = dict(item)
            uri = item.pop("resource_uri", None) or ""
            identity = str(item["id"])
            event = item.get("event_id")
            if kind in ("questions", "canned_questions"):
                found = EVENT_OF.search(uri)
                event = item.pop("event_id", None) or (found[1] if found else None)
                identity = f"{event}/{identity}"
            elif kind == "events":
                event = item["id"]
            organization = item.pop("organization_id", None) if kind in OWNED else item.get("organization_id")
            if kind not in ("organizations", "user"):
                organization = organization or owner_of_event.get(event) or first
            extras = {name: item.pop(name) for name in EXPANSIONS.get(kind, ()) if name in item}
            lean = None
            if kind == "orders" and isinstance(item.get("costs"), dict):
                costs = {name: item["costs"][name] for name in LEAN_COSTS if name in item["costs"]}
                lean = orjson.dumps({**item, "costs": costs})
            if identity not in known:
                number += 1
                known[identity] = number
            narrow.append(
                (
                    known[identity],
                    kind,
                    identity,
                    organization,
                    event,
                    item.get("order_id"),
                    item.get("venue_id"),
                    item.get("series_id"),
                    item.get("changed"),
                    _state(kind, item),
                )
            )
            wide.append((known[identity], orjson.dumps(item), lean, orjson.dumps(extras) if extras else None))
        self.db.executemany("insert or replace into objects values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", narrow)
        self.db.executemany("insert or replace into bodies values (?, ?, ?, ?)", wide)

    def _known(self, kind: str, items: Sequence[Json]) -> dict[str, int]:
        """Row numbers by id: of the items alone when they are few, else of the whole kind."""
        where, values = "kind = ?", [kind]
        if len(items) <= 500 and not kind.endswith("questions"):
            where = f"kind = ? and id in ({','.join('?' * len(items))})"
            values += [str(item["id"]) for item in items]
        return dict(self.db.execute(f"select id, number from objects where {where}", values).fetchall())

    def delete(self, objects: dict[str, list[str]]) -> int:
        """Make objects vanish by kind and id, as if they never were; the number that existed."""
        gone = 0
        for kind, ids in objects.items():
            for identity in ids:
                found = self.db.execute(
                    "delete from objects where kind = ? and id = ? returning number", (kind, str(identity))
                ).fetchone()
                if found:
                    self.db.execute("delete from bodies where number = ?", found)
                    gone += 1
        self._own_changes += 1
        return gone

    def clear(self) -> None:
        """Forget every object and everything remembered."""
        self.db.executescript(
            "begin; delete from objects; delete from bodies; delete from pending; delete from meta; commit;"
        )
        self._own_changes += 1
        self._look_ahead()

    # -- reading

    def refresh(self) -> None:
        """Before each answer: let delayed writes show, and forget what another process has changed."""
        if self._next_due is not None and self._next_due <= self.clock():
            now = self.clock()
            due = self.db.execute(
                "select kind, item from pending where due <= ? order by due, number", (now,)
            ).fetchall()
            for kind, item in due:
                self.put({kind: [orjson.loads(item)]})
            self.db.execute("delete from pending where due <= ?", (now,))
            self._look_ahead()
        version = (self._own_changes, self.db.execute("pragma data_version").fetchone()[0])
        if version != self._version:
            self._version = version
            self._listings.clear()
            self._views.clear()

    def _look_ahead(self) -> None:
        self._next_due = self.db.execute("select min(due) from pending").fetchone()[0]

    def numbers(self, kind: str, where: str = "true", *values: str) -> list[int]:
        """As `read_numbers`, remembered until something is written."""
        key = (kind, where, *values)
        found = self._listings.get(key)
        if found is None:
            if len(self._listings) > 500:
                self._listings.clear()
            found = self._listings[key] = self.read_numbers(kind, where, *values)
        return found

    def read_numbers(self, kind: str, where: str = "true", *values: str) -> list[int]:
        """Row numbers in the order of a listing. `where` is SQL over the columns of objects."""
        found = self.db.execute(
            f"select number from objects where kind = ? and {where} order by length(id), id", (kind, *values)
        )
        return [number for (number,) in found]

    def view(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, remembered until something is written."""
        if name not in self._views:
            self._views[name] = make()
        return self._views[name]

    def rows(self, numbers: Sequence[int]) -> list[Row]:
        marks = ",".join("?" * len(numbers))
        found = {
            number: Row(*rest)
            for number, *rest in self.db.execute(
                f"select number, {ROW} from objects join bodies using (number) where number in ({marks})",
                tuple(numbers),
            )
        }
        return [found[number] for number in numbers if number in found]

    def row(self, kind: str, identity: str | None) -> Row | None:
        found = self.db.execute(
            f"select {ROW} from objects join bodies using (number) where kind = ? and id = ?",
            (kind, identity),
        ).fetchone()
        return None if found is None else Row(*found)

    def whole(self, kind: str, identity: str) -> Json | None:
        """An object with its expansions, as somebody put it."""
        row = self.row(kind, identity)
        if row is None:
            return None
        item = row.item | (orjson.loads(row.extras) if row.extras else {})
        if kind in OWNED:
            item["organization_id"] = row.organization_id
        if kind in ("questions", "canned_questions"):
            item["event_id"] = row.event_id
        return item

    def counts(self) -> dict[str, int]:
        found = dict(self.db.execute("select kind, count(*) from objects group by kind").fetchall())
        return {kind: found.get(kind, 0) for kind in KINDS}


def _state(kind: str, item: Json) -> str | None:
    """The word that `status`, `category` and `scope` filters look at."""
    status = str(item.get("status") or "").lower()
    if kind == "attendees":
        if status == "unpaid":
            return "unpaid"
        is_out = status in ("not attending", "deleted") or bool(item.get("cancelled"))
        return "not_attending" if is_out else "attending"
    if kind == "ticket_classes":
        return str(item.get("category") or "admission")
    if kind == "discounts":
        if item.get("event_id"):
            return "event"
        return "multi_events" if item.get("ticket_class_ids") else "user"
    return status or None


def split_questions(questions: Iterable[Json]) -> dict[str, list[Json]]:
    """Standard questions go by a word, questions of the organizer by a number."""
    kinds: dict[str, list[Json]] = {"questions": [], "canned_questions": []}
    for question in questions:
        is_custom = str(question["id"]).isdigit()
        kinds["questions" if is_custom else "canned_questions"].append(question)
    return kinds
