"""A small world: three sync models in a DuckDB file, an ops file, and a base of the stand-in over HTTP."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from boxoffice import ops
from boxoffice.airtable_api import Client
from boxoffice.build import SyncColumn, SyncModel
from reverse_etl import civicrm_api
from reverse_etl.airtable import DESTINATION, Outcome, Schema, Sync
from reverse_etl.journal import Journal
from sandbox.bases import Base
from sandbox.server import StandIn, running
from sandbox.switches import Settings as Switches

BASE = "appRoundTrip00001"
TOKEN = "sandbox"
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)

VENUES = {"venue_key": "varchar", "venue_name": "varchar", "city": "varchar", "capacity": "bigint"}
EVENTS = {
    **{"event_key": "varchar", "event_name": "varchar", "venue_key": "varchar", "status": "varchar"},
    **{"starts_at": "timestamp", "tickets_sold": "bigint", "gross": "decimal(18, 4)", "is_free": "boolean"},
}
SALES = {"sale_key": "varchar", "event_key": "varchar", "buyer": "varchar", "email": "varchar"}
CHOICES = {"choices": [{"name": "live"}, {"name": "ended"}]}


def model(thing: str, types: dict[str, str], fields: dict[str, tuple[str, str]], **meta: Any) -> SyncModel:
    """fields: column to name and type of its field."""
    columns = {
        name: SyncColumn(
            name,
            types[name],
            f"What {name} says.",
            {
                **({"field": fields[name][0], "type": fields[name][1]} if name in fields else {}),
                **({"options": CHOICES} if name == "status" else {}),
            },
        )
        for name in types
    }
    name = f"sync_airtable__{thing}"
    return SyncModel(name, DESTINATION, thing, "sync", name, f"One row per {thing}.", meta, columns)


def models(**meta: Any) -> list[SyncModel]:
    """Venues, events and sales; `meta` is added to all."""
    text, number = "singleLineText", "number"
    venues = model(
        "venues",
        VENUES,
        {"venue_name": ("Venue", text), "city": ("City", text), "capacity": ("Capacity", number)},
        **{"table": "Venues", "key": "venue_key", "match": "venue_name", **meta},
    )
    events = model(
        "events",
        EVENTS,
        {
            **{"event_name": ("Event", text), "venue_key": ("Venue", "multipleRecordLinks")},
            **{"status": ("Status", "singleSelect"), "starts_at": ("Starts", "dateTime")},
            **{"tickets_sold": ("Tickets sold", number), "gross": ("Gross", "currency")},
            **{"is_free": ("Free", "checkbox")},
        },
        **{"table": "Events", "key": "event_key", "parents": {"venue_key": venues.name}, **meta},
    )
    sales = model(
        "sales",
        SALES,
        {
            **{"buyer": ("Buyer", text), "email": ("E-mail", "email")},
            **{"event_key": ("Event", "multipleRecordLinks")},
        },
        **{"table": "Sales", "key": "sale_key", "parents": {"event_key": events.name}, **meta},
    )
    return [sales, events, venues]


@dataclass
class World:
    """What a sync works with. `sync()` is one run; afterwards `calls` tells what the stand-in received."""

    stand_in: StandIn
    folder: Path
    models: list[SyncModel]
    base: str = BASE
    words: dict[tuple[str, str], str] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    client: Client | None = None
    client_of: Callable[..., Client] = Client
    schema: Schema | None = None

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def ops_path(self) -> Path:
        return self.folder / "ops.sqlite"

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> None:
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute(query, list(parameters))

    def has(self, thing: str, *rows: Sequence[Any]) -> None:
        """The rows of a model from now on, in the order of its columns."""
        found = next(each for each in self.models if each.thing == thing)
        columns = ", ".join(f"{each.name} {each.data_type}" for each in found.columns.values())
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute(f"create schema if not exists {found.schema}")
            connection.execute(f"create or replace table {found.schema}.{found.alias} ({columns})")
            if rows:
                marks = ", ".join("?" for _ in found.columns)
                connection.executemany(
                    f"insert into {found.schema}.{found.alias} values ({marks})", [list(row) for row in rows]
                )

    def sync(self, *, writes: bool = True, budget: int | None = None, **options: bool) -> Outcome:
        """One run; what it was asked to do is told by `reconciles` and `bootstraps`."""
        self.forget_calls()
        with ops.opened(self.ops_path) as store:
            run_id = store.begin_run("sync", NOW, is_sandbox=False)
            self.client = self.client_of(
                self.stand_in.airtable,
                TOKEN,
                self.base,
                budget=budget,
                per_second=None,
                sleep=lambda seconds: None,
            )
            journal = Journal(store, DESTINATION, self.base, run_id)
            sync = Sync(
                self.client,
                journal,
                self.warehouse,
                self.models,
                words=self.words,
                policies=self.policies,
                others=self.others,
                schema=self.schema,
            )
            try:
                sync.plan(**options)
                if writes:
                    sync.write()
            finally:
                self.client.close()
        return sync.outcome

    def plan(self, **options: bool) -> Outcome:
        return self.sync(writes=False, **options)

    # -- the base

    def forget_calls(self) -> None:
        self.stand_in.call("DELETE", "/airtable/requests")

    @property
    def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.stand_in.call("GET", "/airtable/requests")["requests"]
        return found

    def calls(self, *kinds: str) -> int:
        """How many calls the stand-in received, of all kinds or of these."""
        return sum(not kinds or each.get("does") in kinds for each in self.requests)

    @property
    def writes(self) -> int:
        return self.calls("create", "update", "delete", "upsert", "create_table", "create_field")

    def records(self, table: str) -> dict[str, dict[str, Any]]:
        """Record id to cells by field name, links as the keys of what they lead to."""
        listed = self._listed(table)
        names: dict[str, str] = {}
        for other in self.tables():
            for key, cells in self._listed(other).items():
                names[key] = str(cells.get("boxoffice key", key))
        return {
            key: {name: _linked(cell, names) for name, cell in cells.items()} for key, cells in listed.items()
        }

    def tables(self) -> list[str]:
        client = Client(self.stand_in.airtable, TOKEN, self.base, per_second=None)
        try:
            return [each["name"] for each in client.tables()]
        finally:
            client.close()

    def _listed(self, table: str) -> dict[str, dict[str, Any]]:
        client = Client(self.stand_in.airtable, TOKEN, self.base, per_second=None)
        try:
            (described,) = [each for each in client.tables() if each["name"] == table]
            named = {each["id"]: each["name"] for each in described["fields"]}
            return {
                each["id"]: {named[key]: cell for key, cell in each["fields"].items()}
                for page in client.pages(described["id"], table)
                for each in page.records
            }
        finally:
            client.close()

    def rows(self, table: str, *names: str) -> dict[str, Any]:
        """By our key, the cells of some fields (of one: bare); links as keys."""
        found = {}
        for cells in self.records(table).values():
            picked = tuple(cells.get(name) for name in names)
            key = cells.get("boxoffice key")
            assert key not in found, f"{key} twice in {table}"
            found[key] = picked[0] if len(names) == 1 else picked
        return found

    def by_hand(self, do: str, table: str, **details: Any) -> Any:
        """What people do in the base."""
        (made,) = self.stand_in.call("POST", "/airtable/changes", {"do": do, "table": table, **details})[
            "changed"
        ]
        return made

    def fault(self, do: str, **details: Any) -> None:
        self.stand_in.call("POST", "/airtable/faults", {"do": do, **details})

    def settings(self, **settings: Any) -> None:
        self.stand_in.call("POST", "/airtable/settings", settings)

    # -- the ops file

    def ops(self, query: str) -> list[tuple[Any, ...]]:
        with ops.opened_to_read(self.ops_path) as connection:
            return connection.execute(query).fetchall()

    def rejected(self) -> dict[str, tuple[Any, ...]]:
        """Key to field, rule and whether it is resolved."""
        query = "select key, field, rule_id, resolved_at is not null from rejected_rows"
        return {key: tuple(rest) for key, *rest in self.ops(query)}


def _linked(cell: Any, names: dict[str, str]) -> Any:
    is_links = isinstance(cell, list) and all(
        isinstance(each, str) and each.startswith("rec") for each in cell
    )
    return [names.get(each, each) for each in cell] if is_links else cell


def sale(place: int, event: str) -> tuple[str, str, str, str]:
    """A row of the sales model."""
    return (f"s{place}", event, f"Buyer {place}", f"b{place}@example.org")


def count(outcome: Outcome) -> dict[str, int]:
    """What a run did in rows, over all tables."""
    found: dict[str, int] = {}
    for written in outcome.written.values():
        for kind, rows in written.done.items():
            found[kind] = found.get(kind, 0) + rows
    return found


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_civicrm() -> Iterator[None]:
    """Stand-ins on this machine need no patience."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(civicrm_api, "LANDING", 0.0)
        patch.setattr(civicrm_api, "_BACKOFF", lambda state: 0.0)
        yield


SCOPES = ["data.records:read", "data.records:write", "schema.bases:read", "schema.bases:write"]
DEFAULTS = asdict(Switches()) | {"mode": "off"}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """One stand-in for all tests. Its snapshots: an empty base, and one that `load` has filled."""
    with running(bases=[Base(BASE, "Empty")]) as stand_in:
        stand_in.call("PUT", "/snapshots/empty")
        yield stand_in


@pytest.fixture(scope="session")
def filled(server: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a world that was synced once; the stand-in's side is its snapshot `filled`."""
    world = World(server, tmp_path_factory.mktemp("filled"), models())
    calm(server, "empty")
    for each in world.models:
        world.has(each.thing)
    world.has("venues", ("v1", "Marble House", "Oslo", 300), ("v2", "Signal Yard", None, None))
    world.has(
        "events",
        ("e1", "Opening", "v1", "live", "2027-03-05 19:00:00", 12, "120.50", False),
        ("e2", "Matinee", "v1", "ended", "2027-02-05 14:00:00", 0, "0", True),
        ("e3", "Talk", "v2", "live", None, None, None, None),
    )
    world.has("sales", *(sale(place, f"e{place % 3 + 1}") for place in range(4)))
    world.sync(bootstraps=True)
    server.call("PUT", "/snapshots/filled")
    return world.folder


def calm(server: StandIn, snapshot: str) -> None:
    """Put the stand-in back to a snapshot, without faults, limits and a clock of its own."""
    server.call("POST", f"/snapshots/{snapshot}")
    server.call("DELETE", "/airtable/faults")
    server.call("POST", "/airtable/settings", {**DEFAULTS, "tokens": {TOKEN: {"scopes": SCOPES}}})
    server.set_clock(None)


@pytest.fixture
def world(server: StandIn, tmp_path: Path) -> World:
    """An empty base and models without rows."""
    calm(server, "empty")
    found = World(server, tmp_path, models())
    for each in found.models:
        found.has(each.thing)
    return found


@pytest.fixture
def loaded(server: StandIn, filled: Path, tmp_path: Path) -> World:
    """Two venues, three events and four sales, in the base as in the models."""
    calm(server, "filled")
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return World(server, tmp_path, models())
