"""A small world: orders as Eventbrite tells of them, a CiviCRM site of the stand-in, and runs of the sync.

`world.sells(order)` puts an order into the two sync tables, `world.sync()` is one run, `world.look()` shows
what the site holds then. People and orders are told by marks (`Eventbrite attendee 11`, `EB-5551`), never by
what our side remembers.
"""

import csv
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest
import requests

from boxoffice import ops
from boxoffice.build import SyncColumn, SyncModel
from boxoffice.errors import BoxofficeError, ConfigurationError
from boxoffice.session import NOTHING_DONE, Session
from boxoffice.settings import Settings
from boxoffice.terminal import Terminal
from reverse_etl.__main__ import sync_civicrm
from reverse_etl.civicrm_api import Site
from sandbox.civicrm.app import ADMIN_KEY, KEY, PERMISSIONS
from sandbox.server import StandIn, running

NOW = "2026-03-01T10:00:00Z"
ZONE = "America/New_York"
WRITING = r"(create|update|save|delete|replace)$"
REMOVED = "Removed_in_EventBrite"
ORDERS = {
    **dict.fromkeys(("order_id", "event_id", "event_name", "civicrm_event", "status"), "varchar"),
    **{"is_paid": "boolean", "is_offline": "boolean", "ordered_at": "timestamp", "changed_at": "timestamp"},
    **{
        "currency": "varchar",
        "currency_exponent": "integer",
        "gross_minor": "bigint",
        "fees_minor": "bigint",
    },
}
ATTENDEES = {
    **dict.fromkeys(("attendee_id", "order_id", "event_id", "civicrm_event", "ticket_class_id"), "varchar"),
    **{"ticket_class_name": "varchar", "civicrm_role": "varchar", "status": "varchar", "is_gone": "boolean"},
    **{"is_checked_in": "boolean"},
    **dict.fromkeys(("first_name", "last_name", "email", "work_phone", "address_1", "address_2"), "varchar"),
    **dict.fromkeys(("city", "region", "postal_code", "country"), "varchar"),
    **{"created_at": "timestamp", "changed_at": "timestamp", "gross_minor": "bigint"},
    **{"fees_minor": "bigint", "currency": "varchar"},
}
PERSONAL = ("first_name", "last_name", "email", "work_phone", "address_1", "address_2", "postal_code")


# -- what Eventbrite tells


@dataclass
class Attendee:
    """One ticket. `gross` is what of its price is left after refunds."""

    id: str
    first: str | None = "Ann"
    last: str | None = "Okafor"
    email: str | None = "ann@example.org"
    gross: int = 4000
    fees: int = 300
    status: str = "valid"
    role: str | None = "Attendee"
    ticket_class: str = "General"
    is_gone: bool = False
    is_checked_in: bool = False
    phone: str | None = None
    address: tuple[str | None, ...] = (None, None, None, None, None, None)
    created: str = "2026-02-01 10:00:00"

    def becomes(self, other: "Attendee") -> None:
        """Has the profile of somebody else from now on: the ticket was transferred."""
        self.first, self.last, self.email = other.first, other.last, other.email


def attendee(identity: str, first: str = "Ann", **more: Any) -> Attendee:
    """Somebody whose e-mail is made of the name."""
    return Attendee(identity, first, **{"email": f"{first.lower()}@example.org", **more})


@dataclass
class Order:
    """Its total and fees are those of its attendees where not said."""

    id: str
    attendees: list[Attendee]
    event: str = "Gala"
    status: str = "placed"
    is_paid: bool = True
    is_offline: bool = False
    currency: str = "USD"
    exponent: int = 2
    gross: int | None = None
    fees: int | None = None
    ordered: str = "2026-02-01 10:00:00"
    changed: str | None = None

    def __getitem__(self, identity: str) -> Attendee:
        return next(each for each in self.attendees if each.id == identity)

    def refund(self, *ids: str) -> "Order":
        """These tickets, or the whole order."""
        for each in self.attendees:
            if each.id in ids or not ids:
                each.status, each.gross, each.fees = "refunded", 0, 0
        if not ids:
            self.status, self.gross, self.fees = "refunded", None, None
        return self

    def cancel(self) -> "Order":
        """What was paid is kept."""
        self.status = "cancelled"
        for each in self.attendees:
            each.status = "cancelled"
        return self

    def unpaid(self) -> "Order":
        self.is_paid, self.is_offline = False, True
        for each in self.attendees:
            each.status = "unpaid"
        return self

    def paid(self) -> "Order":
        self.is_paid = True
        for each in self.attendees:
            each.status = "valid"
        return self

    def rows(self) -> tuple[list[Any], list[list[Any]]]:
        """As the models hold them, `changed_at` aside."""
        event_id = f"eb-{self.event}"
        gross = sum(each.gross for each in self.attendees) if self.gross is None else self.gross
        fees = sum(each.fees for each in self.attendees) if self.fees is None else self.fees
        head = [self.id, event_id, self.event, self.event, self.status, self.is_paid, self.is_offline]
        head += [self.ordered, None, self.currency, self.exponent, gross, fees]
        people = [
            [
                *(each.id, self.id, event_id, self.event, f"class-{each.ticket_class}", each.ticket_class),
                *(each.role, each.status, each.is_gone, each.is_checked_in),
                *(each.first, each.last, each.email, each.phone, *each.address),
                *(each.created, None, each.gross, each.fees, self.currency),
            ]
            for each in self.attendees
        ]
        return head, people


def party(identity: str = "5551", **more: Any) -> Order:
    """The example of the tables: three tickets of 40.00, fees of 9.85."""
    names = {"11": "Ann", "12": "Ben", "13": "Cleo"}
    people = [attendee(key, name, fees=328 + (key == "13")) for key, name in names.items()]
    return Order(identity, people, **more)


# -- what the site holds


@dataclass
class Participant:
    """`by`: the attendee whose participant registered this one."""

    id: int
    attendee: str
    contact: int
    event: int
    status: str
    roles: list[str]
    registered: str | None
    by: str | None
    raw: dict[str, Any]


@dataclass
class Contribution:
    """Amounts as text of two places. `payments`: attendees of its payment rows. `posted`: payments only."""

    id: int
    contact: int
    total: str
    fee: str
    net: str
    status: str
    paid: str
    balance: str
    received: str
    currency: str
    instrument: str
    source: str | None
    lines: int
    posted: list[str]
    payments: list[str]
    raw: dict[str, Any]


# Names of options, which are those of any stock site.
STOCK: dict[tuple[str, str], str] = {}


class Look:
    """What the site holds at one moment, trash and all."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._all = self.participants, self.contributions, self.rows("Email")

    def rows(self, entity: str) -> list[dict[str, Any]]:
        if entity not in self._rows:
            self._rows[entity] = self.world.stand_in.call("GET", f"/civicrm/rows/{entity}")["rows"]
        return self._rows[entity]

    @cached_property
    def statuses(self) -> dict[int, str]:
        return {row["id"]: row["name"] for row in self.rows("ParticipantStatusType")}

    def option(self, group: str, value: Any) -> str:
        if not STOCK:
            groups = {row["id"]: row["name"] for row in self.rows("OptionGroup")}
            for row in self.rows("OptionValue"):
                STOCK[groups[row["option_group_id"]], row["value"]] = str(row["name"])
        return STOCK[group, str(value)]

    # -- people

    def contacts(self, **where: Any) -> list[dict[str, Any]]:
        """Individuals that are not in the trash and not the API's own."""
        return [
            row
            for row in self.rows("Contact")
            if row["id"] > 2 and not row["is_deleted"] and all(row[key] == it for key, it in where.items())
        ]

    def contact(self, identity: int) -> dict[str, Any]:
        return next(row for row in self.rows("Contact") if row["id"] == identity)

    def name(self, identity: int) -> str:
        row = self.contact(identity)
        return " ".join(filter(None, [row["first_name"], row["last_name"]]))

    def emails(self, contact: int) -> list[str]:
        """The primary one first."""
        rows = [row for row in self.rows("Email") if row["contact_id"] == contact]
        return [row["email"] for row in sorted(rows, key=lambda row: (not row["is_primary"], row["id"]))]

    def places(self, entity: str, contact: int, *names: str) -> list[tuple[Any, ...]]:
        """Location and these fields of phones or addresses."""
        types = {row["id"]: row["name"] for row in self.rows("LocationType")}
        return [
            (types[row["location_type_id"]], *(row[name] for name in names))
            for row in self.rows(entity)
            if row["contact_id"] == contact
        ]

    # -- participants

    @cached_property
    def participants(self) -> list[Participant]:
        rows = self.rows("Participant")
        marks = {row["id"]: str(row["source"] or "").removeprefix("Eventbrite attendee ") for row in rows}
        return [
            Participant(
                row["id"],
                marks[row["id"]],
                row["contact_id"],
                row["event_id"],
                self.statuses[row["status_id"]],
                [self.option("participant_role", value) for value in row["role_id"] or []],
                row["register_date"],
                None if row["registered_by_id"] is None else marks[row["registered_by_id"]],
                row,
            )
            for row in rows
        ]

    def live(self, attendee: str) -> Participant:
        """The one participant of an attendee that is not REMOVED."""
        (found,) = [
            each for each in self.participants if each.attendee == attendee and each.status != REMOVED
        ]
        return found

    def removed(self, attendee: str) -> list[Participant]:
        return [each for each in self.participants if each.attendee == attendee and each.status == REMOVED]

    def status(self, *attendees: str) -> list[str]:
        return [self.live(each).status for each in attendees]

    # -- money

    @cached_property
    def contributions(self) -> dict[str, Contribution]:
        """By order."""
        found: dict[str, Contribution] = {}
        marks = {each.id: each.attendee for each in self.participants}
        trxns = {row["id"]: row for row in self.rows("FinancialTrxn")}
        of: dict[int, list[dict[str, Any]]] = {}
        for row in self.rows("EntityFinancialTrxn"):
            if row["entity_table"] == "civicrm_contribution":
                of.setdefault(row["entity_id"], []).append(trxns[row["financial_trxn_id"]])
        amounts = self.world.amounts()
        for row in self.rows("Contribution"):
            key = str(row["invoice_id"] or "").removeprefix("EB-")
            assert key not in found, f"two contributions of order {key}"
            found[key] = Contribution(
                row["id"],
                row["contact_id"],
                *(f"{row[name] or 0:.2f}" for name in ("total_amount", "fee_amount", "net_amount")),
                self.option("contribution_status", row["contribution_status_id"]),
                *(f"{amounts[row['id']][name] or 0:.2f}" for name in ("paid_amount", "balance_amount")),
                row["receive_date"],
                row["currency"],
                self.option("payment_instrument", row["payment_instrument_id"]),
                row["source"],
                sum(line["contribution_id"] == row["id"] for line in self.rows("LineItem")),
                [f"{it['total_amount']:.2f}" for it in of.get(row["id"], []) if it["is_payment"]],
                [
                    marks[link["participant_id"]]
                    for link in self.rows("ParticipantPayment")
                    if link["contribution_id"] == row["id"]
                ],
                row,
            )
        return found

    def money(
        self, order: Order, total: str, fee: str = "", status: str = "Completed", payments: int = 1
    ) -> Contribution:
        """The checks after any C rule.

        Args:
            fee: not looked at when empty. payments: rows, two only where one for the new pair was there.
        """
        found = self.contributions[order.id]
        assert (found.total, found.status) == (total, status)
        assert not fee or found.fee == fee
        assert _cents(found.net) == _cents(found.total) - _cents(found.fee)
        if found.lines == 1 and status == "Completed":
            assert (found.paid, found.balance) == (total, "0.00")
        primary = self.primary(order)
        assert len(found.payments) == payments
        pairs = [(row["participant_id"], row["contribution_id"]) for row in self.rows("ParticipantPayment")]
        assert pairs.count((primary.id, found.id)) == 1
        assert found.contact == primary.contact
        return found

    def primary(self, order: Order) -> Participant:
        """Checks that all others of the order were registered by it."""
        ids = [each.id for each in order.attendees]
        live = [each for each in self.participants if each.attendee in ids and each.status != REMOVED]
        (found,) = [each for each in live if each.by is None]
        assert {each.by for each in live} <= {None, found.attendee}
        assert all(each.raw["registered_by_id"] == found.id for each in live if each is not found)
        return found

    # -- everything, ids aside

    def state(self) -> dict[str, list[Any]]:
        """What two sites have in common that got the same writes, in whatever order."""
        people = {row["id"]: self._person(row) for row in self.rows("Contact")}
        marks = {each.id: (each.attendee, each.status) for each in self.participants}
        found: dict[str, list[Any]] = {"contacts": [it for key, it in people.items() if key > 2]}
        found["participants"] = [
            (
                each.attendee,
                each.status,
                each.roles,
                each.registered,
                each.by,
                people[each.contact],
                each.event,
            )
            for each in self.participants
        ]
        found["contributions"] = [
            (
                *(key, each.total, each.fee, each.net, each.status, each.paid, each.received),
                *(each.currency, each.instrument, each.source, each.lines, sorted(each.posted)),
                people[each.contact],
            )
            for key, each in self.contributions.items()
        ]
        invoices = {row["id"]: row["invoice_id"] for row in self.rows("Contribution")}
        found["payments"] = [
            (marks[row["participant_id"]], invoices[row["contribution_id"]])
            for row in self.rows("ParticipantPayment")
        ]
        found["statuses"] = list(self.statuses.values())
        return {name: sorted(rows, key=repr) for name, rows in found.items()}

    def _person(self, row: dict[str, Any]) -> tuple[Any, ...]:
        def held(entity: str, *names: str) -> list[Any]:
            rows = [each for each in self.rows(entity) if each["contact_id"] == row["id"]]
            return sorted((tuple(each[name] for name in names) for each in rows), key=repr)

        return (
            *(row[name] for name in ("first_name", "last_name", "source", "is_deleted")),
            held("Email", "email", "is_primary", "location_type_id"),
            held("Phone", "phone", "is_primary", "location_type_id", "phone_type_id"),
            held("Address", "street_address", "city", "state_province_id", "location_type_id"),
        )


def _cents(amount: str) -> int:
    return round(float(amount) * 100)


# -- runs


@dataclass
class Run:
    """One run. `calls`: what the stand-in received. `words`: all that a person is told, as one text."""

    exit_code: int
    words: str
    document: dict[str, Any]
    calls: list[dict[str, Any]] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Entity and action of each, in order; also of those that were refused."""
        return [(call["entity"], call["action"]) for call in self.calls if is_write(call)]

    def did(self, entity: str = "") -> Counter[str]:
        """How often each action on an entity, or `Entity.action` on all but the making of REMOVED."""
        if entity:
            return Counter(action for name, action in self.writes if name == entity)
        made = Counter(f"{name}.{action}" for name, action in self.writes)
        return Counter({key: it for key, it in made.items() if not key.startswith("ParticipantStatusType.")})


def is_write(call: dict[str, Any]) -> bool:
    if call.get("entity") is None:
        many = call["params"] or []
        actions = [each[1] for each in (many.values() if isinstance(many, dict) else many)]
        assert all(action.startswith("get") for action in actions), "several writes in one call"
        return False
    return not str(call["action"]).startswith("get")


def is_forbidden(call: dict[str, Any]) -> bool:
    words = json.dumps(call["params"])
    return call.get("action") in ("delete", "replace") or '"is_deleted": true' in words


class Killed(BaseException):
    """What nothing catches, like a kill."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def end() -> None:
    raise Killed


@contextmanager
def killed(at: int, when: str, does: Callable[[], None] = end, *, reads: bool = False) -> Iterator[None]:
    """Ends the sync at a write (or any call, `reads`): before it is sent, or when its answer has come."""
    sent = requests.adapters.HTTPAdapter.send
    seen = 0

    def send(adapter: Any, request: Any, *args: Any, **more: Any) -> Any:
        nonlocal seen
        if "/control/" in request.url or not (reads or _writes(request)):
            return sent(adapter, request, *args, **more)
        seen += 1
        if seen == at + 1 and when == "before":
            does()
        answer = sent(adapter, request, *args, **more)
        if seen == at + 1:
            does()
        return answer

    requests.adapters.HTTPAdapter.send = send  # type: ignore[method-assign]
    try:
        yield
    finally:
        requests.adapters.HTTPAdapter.send = sent  # type: ignore[method-assign]


def _writes(request: Any) -> bool:
    body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
    form = parse_qs(f"{urlsplit(request.url).query}&{body}")
    action = form["action"][0] if "action" in form else urlsplit(request.url).path.rpartition("/")[2]
    return action in ("create", "update", "save", "delete", "replace", "set")


def literal(value: Any) -> str:
    """As SQL has it. To bind values DuckDB looks for packages, each time."""
    if value is None or isinstance(value, bool | int):
        return "null" if value is None else str(value).lower()
    return "'" + str(value).replace("'", "''") + "'"


MODELS = [
    SyncModel(
        f"sync_civicrm__{thing}",
        "civicrm",
        thing,
        "sync",
        f"sync_civicrm__{thing}",
        f"One row per {thing[:-1]}.",
        {},
        {name: SyncColumn(name, kind, "", {}, name in PERSONAL) for name, kind in types.items()},
    )
    for thing, types in (("orders", ORDERS), ("attendees", ATTENDEES))
]


@dataclass
class World:
    """What a sync works with."""

    stand_in: StandIn
    folder: Path
    orders: dict[str, Order] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    url: str | None = None
    key: str = KEY
    has_heads: bool = True
    minutes: int = 0
    told: dict[str, tuple[Any, str]] = field(default_factory=dict)
    filled: Any = None

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def ops_path(self) -> Path:
        return self.folder / "ops.sqlite"

    # -- Eventbrite

    def sells(self, *orders: Order) -> None:
        self.orders |= {each.id: each for each in orders}

    def put(self) -> None:
        """Fill the two sync tables. What is not as it was told before has changed a minute later."""
        heads, people = [], []
        for order in self.orders.values():
            head, rows = order.rows()
            document = json.dumps([head, rows])
            if self.told.get(order.id, ("",))[0] != document:
                self.minutes += 1
                moment = datetime(2026, 2, 1, 12, tzinfo=UTC) + timedelta(minutes=self.minutes)
                self.told[order.id] = (document, f"{moment:%Y-%m-%d %H:%M:%S}")
            changed = order.changed or self.told[order.id][1]
            heads += [[*head[:8], changed, *head[9:]]] if self.has_heads else []
            place = list(ATTENDEES).index("changed_at")
            people += [[*row[:place], changed, *row[place + 1 :]] for row in rows]
        filled = {"orders": (ORDERS, heads), "attendees": (ATTENDEES, people)}
        if filled == self.filled:
            return
        self.filled = filled
        with duckdb.connect(str(self.warehouse), config={"threads": 1}) as connection:
            connection.execute("create schema if not exists sync")
            for thing, (types, rows) in filled.items():
                columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
                connection.execute(f"create or replace table sync.sync_civicrm__{thing} ({columns})")
                if rows:
                    many = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
                    connection.execute(f"insert into sync.sync_civicrm__{thing} values {many}")

    # -- runs

    @property
    def settings(self) -> Settings:
        mappings = self.folder / "mappings"
        mappings.mkdir(exist_ok=True)
        events = sorted({order.event for order in self.orders.values()} or {"Gala"})
        lines = {
            "civicrm_events.csv": [
                ("eventbrite_event", "civicrm_event", "fallback_role"),
                *((f"eb-{name}", name, "") for name in events),
            ],
            "civicrm_roles.csv": [
                ("eventbrite_event", "ticket_class", "civicrm_role"),
                ("", "General", "Attendee"),
            ],
            "settings.csv": [
                ("destination", "name", "value"),
                *(("civicrm", name, value) for name, value in self.policies.items()),
            ],
        }
        for name, rows in lines.items():
            with (mappings / name).open("w", newline="") as file:
                csv.writer(file).writerows(rows)
        return Settings(
            as_of=datetime(2026, 3, 1, 10, tzinfo=UTC),
            warehouse_path=self.warehouse,
            ops_path=self.ops_path,
            marts_path=self.folder / "marts.duckdb",
            sheets_dir=self.folder,
            mappings_dir=mappings,
            eventbrite_token=None,
            civicrm_url=self.url or self.stand_in.civicrm,
            civicrm_api_key=self.key,
            civicrm_timezone=ZONE,
        )

    def sync(self, *, must: int | None = None, **options: Any) -> Run:
        """One run. Whatever comes of it, nothing is ever deleted.

        Args:
            must: the exit code it has to end with. options: those of `sync_civicrm`.
        """
        self.put()
        self.stand_in.call("DELETE", "/civicrm/requests")
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        settings = self.settings
        try:
            with ops.opened(self.ops_path) as store:
                session = Session("sync", settings, Terminal(as_json=True), store)
                code = None
                try:
                    sync_civicrm(session, MODELS, settings=settings, **options)
                except BoxofficeError as error:
                    session.problem("sync civicrm", error)
                    if isinstance(error, ConfigurationError) and not session.steps:
                        code = NOTHING_DONE
                code = code or session.exit_code
                store.end_run(session.run_id, status="ok", exit_code=code, seconds=0)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        document = session.document(code)
        refused = self.ops("select key, rule_id, reason, remedy from rejected_rows where resolved_at is null")
        words = json.dumps([document, refused, session.headlines, session.next], default=str)
        query = f"select rule_id from journal where run_id = {session.run_id} order by call_id"
        rules = [str(row[0]) for row in self.ops(query)]
        run = Run(code, words, document, self.calls(), rules)
        assert not [call for call in run.calls if is_forbidden(call)], "something was deleted"
        assert must is None or code == must, words
        return run

    def plan(self, **options: Any) -> Run:
        return self.sync(writes=False, **options)

    def calls(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.stand_in.call("GET", "/civicrm/requests")["requests"]
        return found

    def rests(self) -> None:
        """A run that looks at everything finds nothing to write."""
        run = self.sync(must=0, reconcile=True)
        assert run.writes == [], [call for call in run.calls if is_write(call)]

    def settles(self, **options: Any) -> Run:
        """A run that ends well, after which nothing is left to do."""
        run = self.sync(must=0, **options)
        self.rests()
        return run

    def forgets(self) -> None:
        """The ops file is lost."""
        for each in self.folder.glob("ops.sqlite*"):
            each.unlink()

    # -- the site

    def look(self) -> Look:
        return Look(self)

    def staff(self, do: str, entity: str = "", identity: int | None = None, **values: Any) -> int:
        """What staff do by hand; gives the id of what was made or changed."""
        wish: dict[str, Any] = {"do": do, "entity": entity}
        wish |= {"id": identity} if identity else {}
        wish |= {"values": {name.replace("__", "."): it for name, it in values.items()}} if values else {}
        found: int = self.stand_in.call("POST", "/civicrm/changes", wish)["changed"][0]
        return found

    def merge(self, gone: int, kept: int) -> None:
        self.stand_in.call("POST", "/civicrm/changes", {"do": "merge", "from": gone, "to": kept})

    def knows(self, first: str, email: str | None = None, last: str = "Okafor", **more: Any) -> int:
        """Somebody whom staff have entered."""
        values = {"contact_type": "Individual", "first_name": first, "last_name": last, **more}
        values |= {"email_primary__email": email} if email else {}
        return self.staff("create", "Contact", **values)

    def fault(self, do: str, **details: Any) -> None:
        self.stand_in.call("POST", "/civicrm/faults", {"do": do, **details})

    def calm(self) -> None:
        self.stand_in.call("DELETE", "/civicrm/faults")

    def switch(self, **settings: Any) -> None:
        self.stand_in.call("POST", "/civicrm/settings", settings)

    def api(self, entity: str, action: str, **params: Any) -> list[dict[str, Any]]:
        """API v4 as somebody who may everything."""
        headers = {"X-Civi-Auth": f"Bearer {ADMIN_KEY}", "X-Requested-With": "XMLHttpRequest"}
        url = f"{self.stand_in.civicrm}/civicrm/ajax/api4/{entity}/{action}"
        answer = _http().post(url, {"params": json.dumps(params)}, headers=headers, timeout=10).json()
        assert "values" in answer, answer
        found: list[dict[str, Any]] = answer["values"]
        return found

    def amounts(self) -> dict[int, dict[str, Any]]:
        """Paid and balance of every contribution."""
        select = ["id", "paid_amount", "balance_amount"]
        found = self.api("Contribution", "get", select=select, where=[["is_test", "IN", [True, False]]])
        return {row["id"]: row for row in found}

    # -- the ops file

    def ops(self, query: str) -> list[tuple[Any, ...]]:
        with ops.opened_to_read(self.ops_path) as connection:
            return connection.execute(query).fetchall()

    def rejected(self) -> dict[str, str]:
        """Key to rule of what is refused now."""
        return dict(self.ops("select key, rule_id from rejected_rows where resolved_at is null"))


_sessions: dict[int, requests.Session] = {}


def _http() -> requests.Session:
    # A connection is no child's.
    found = _sessions.setdefault(os.getpid(), requests.Session())
    found.trust_env = False
    return found


EVENTS = {
    "Gala": {"is_monetary": True, "financial_type_id": 4},
    "Recital": {"is_monetary": True, "financial_type_id": 1},
    "Open Day": {"is_monetary": False},
}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Site.__init__.__kwdefaults__, "sleep", lambda seconds: None)


@pytest.fixture(scope="session")
def server() -> Iterator[StandIn]:
    """One stand-in for all tests; its snapshot `events`: a stock site with three events and nobody."""
    with running() as stand_in:
        stand_in._session.trust_env = False  # spares the search for proxies
        stand_in.set_clock(NOW)
        stand_in.call("GET", "/civicrm/")
        for title, more in EVENTS.items():
            values = {"title": title, "event_type_id": 5, "start_date": "2026-04-01 20:00:00", **more}
            stand_in.call("POST", "/civicrm/changes", {"do": "create", "entity": "Event", "values": values})
        stand_in.call("PUT", "/snapshots/events")
        stand_in.call("POST", "/civicrm/settings", {})
        yield stand_in


@pytest.fixture(scope="session")
def usual(server: StandIn) -> dict[str, Any]:
    """The site's switches as they begin."""
    found = server.call("GET", "/civicrm/settings")
    return {name: it for name, it in found.items() if name != "keys"}


def begin(server: StandIn, usual: dict[str, Any], snapshot: str = "events") -> None:
    server.call("POST", f"/snapshots/{snapshot}")
    server.call("DELETE", "/civicrm/faults")
    keys = {KEY: {"contact": 2, "permissions": list(PERMISSIONS)}, ADMIN_KEY: {"permissions": None}}
    server.call("POST", "/civicrm/settings", {**usual, "keys": keys})
    server.set_clock(NOW)


@pytest.fixture
def world(server: StandIn, usual: dict[str, Any], tmp_path: Path) -> World:
    """Nothing sold yet; nobody known."""
    begin(server, usual)
    return World(server, tmp_path)


@pytest.fixture(scope="session")
def partied(server: StandIn, usual: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world to which the party's order of three was brought; the site is its snapshot `partied`."""
    begin(server, usual)
    world = World(server, tmp_path_factory.mktemp("partied"))
    world.sells(party())
    world.sync(must=0)
    server.call("PUT", "/snapshots/partied")
    return world


@pytest.fixture
def synced(server: StandIn, usual: dict[str, Any], partied: World, tmp_path: Path) -> World:
    """The party's order of three was brought."""
    begin(server, usual, "partied")
    shutil.copytree(partied.folder, tmp_path, dirs_exist_ok=True)
    world = World(server, tmp_path, minutes=partied.minutes, told={**partied.told}, filled=partied.filled)
    world.sells(party())
    return world


@dataclass
class Moment:
    """A world as it was, to go back to any number of times."""

    world: World
    name: str

    def __post_init__(self) -> None:
        self.world.stand_in.call("PUT", f"/snapshots/{self.name}")
        self._ops = self.world.folder / f"{self.name}.sqlite"
        self._has_ops = self.world.ops_path.exists()
        if self._has_ops:
            shutil.copy(self.world.ops_path, self._ops)

    def again(self) -> World:
        self.world.stand_in.call("POST", f"/snapshots/{self.name}")
        self.world.calm()
        self.world.forgets()
        if self._has_ops:
            shutil.copy(self._ops, self.world.ops_path)
        return self.world
