"""What the CiviCRM stand-in remembers: rows by entity and id, with their keys to each other.

Read whole when first asked for and written through row by row. Nothing is validated here but what a database
refuses: a key to no row, a value that must be unique, a null that must not be.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from sandbox.civicrm.schema import ENTITIES, INDEXED, stock
from sandbox.civicrm.switches import Settings
from sandbox.store import Json, Store

SCHEMA = """
create table if not exists civicrm_rows (
    entity text, id integer, body blob not null, primary key (entity, id)
) without rowid;
create table if not exists civicrm_ids (entity text primary key, last integer not null);
"""
STAMP = "%Y-%m-%d %H:%M:%S"


class Trouble(Exception):
    """What the API answers with an error: `status` 500 or 403, `code` the symbolic one that v3 says."""

    def __init__(self, message: str, *, status: int = 500, code: str | int = 0, **more: Any) -> None:
        super().__init__(message)
        self.message, self.status, self.code, self.more = message, status, code, more


def violation() -> Trouble:
    return Trouble("DB Error: constraint violation", code="constraint violation")


def already() -> Trouble:
    return Trouble("DB Error: already exists", code="already exists")


def money(amount: Any) -> float:
    """Rounded to the cent, half up."""
    return float(Decimal(str(amount or 0)).quantize(Decimal("0.01"), ROUND_HALF_UP))


def key(value: Any) -> Any:
    """What two values have in common that the database holds to be equal."""
    if isinstance(value, str):
        return value.casefold()
    return value


class Rows:
    def __init__(self, store: Store, settings: Settings, clock: Callable[[], float]) -> None:
        self.store, self.db, self.settings, self.clock = store, store.db, settings, clock
        self.db.executescript(SCHEMA)
        self._tables: dict[str, dict[int, Json]] | None = None
        self._index: dict[str, dict[str, dict[Any, set[int]]]] = {}
        self.views: dict[str, Any] = {}  # what others have made of the rows that describe custom fields
        self._last: dict[str, int] = {}
        self._undo: list[tuple[str, int, Json | None]] | None = None
        self._version: tuple[int, int] | None = None

    # -- reading

    def refresh(self) -> None:
        """Forget what another process has changed in the file, or a snapshot has put back."""
        version = (self.db.execute("pragma data_version").fetchone()[0], self.store.restored)
        if version != self._version:
            self._version, self._tables = version, None

    @property
    def tables(self) -> dict[str, dict[int, Json]]:
        if self._tables is None:
            tables: dict[str, dict[int, Json]] = {entity: {} for entity in ENTITIES}
            for entity, number, body in self.db.execute(
                "select entity, id, body from civicrm_rows order by entity, id"
            ):
                tables[entity][number] = orjson.loads(body)
            self._last = dict(self.db.execute("select entity, last from civicrm_ids").fetchall())
            self._tables = tables
            self._index, self.views = {}, {}
            if not tables["Domain"]:
                self.begin()
        return self._tables

    @property
    def has_begun(self) -> bool:
        return self.db.execute("select 1 from civicrm_rows limit 1").fetchone() is not None

    def all(self, entity: str) -> list[Json]:
        return list(self.tables[entity].values())

    def get(self, entity: str, number: Any) -> Json | None:
        return self.tables[entity].get(number) if isinstance(number, int) else None

    def find(self, entity: str, **values: Any) -> list[Json]:
        """Rows whose fields hold these values, by id; letters' case does not matter."""
        found: set[int] | None = None
        for name, value in values.items():
            if name in INDEXED[entity]:
                ids = self.index(entity, name).get(key(value), set())
                found = ids if found is None else found & ids
        table = self.tables[entity]
        rows = table.values() if found is None else (table[number] for number in sorted(found))
        return [row for row in rows if all(key(row.get(name)) == key(it) for name, it in values.items())]

    def first(self, entity: str, **values: Any) -> Json | None:
        return next(iter(self.find(entity, **values)), None)

    def index(self, entity: str, name: str) -> dict[Any, set[int]]:
        """Ids by the value of a field that is no list."""
        table, known = self.tables[entity], self._index.setdefault(entity, {})
        if name not in known:
            found: dict[Any, set[int]] = {}
            for number, row in table.items():
                found.setdefault(key(row.get(name)), set()).add(number)
            known[name] = found
        return known[name]

    def now(self) -> str:
        """The site's local time."""
        return datetime.fromtimestamp(self.clock(), self.zone).strftime(STAMP)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.settings.time_zone)

    # -- writing

    def begin(self) -> None:
        """Forget everything; a new site with what every site has."""
        self.db.executescript("begin; delete from civicrm_rows; delete from civicrm_ids; commit;")
        self._tables = {entity: {} for entity in ENTITIES}
        self._index, self._last, self.views = {}, {}, {}
        with self.at_once():
            for entity, rows in stock(self.settings.currency).items():
                for row in rows:
                    self.insert(entity, row)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What changes inside is kept whole or, after an exception, not at all. May be nested."""
        if self._undo is not None:
            yield
            return
        _ = self.tables
        self._undo = []
        self.db.execute("begin immediate")
        try:
            yield
            self.db.execute("commit")
        except BaseException:
            self.db.execute("rollback")
            for entity, number, row in reversed(self._undo):
                self._hold(entity, number, row)
            raise
        finally:
            self._undo = None

    def insert(self, entity: str, values: Json) -> Json:
        """A new row with the defaults of its fields. Raises Trouble as a database would."""
        fields = ENTITIES[entity]
        row: Json = {name: default_of(field.type, field.default) for name, field in fields.items()}
        row = {name: value for name, value in row.items() if not fields[name].is_computed} | values
        _ = self.tables
        number = int(row.get("id") or self._last.get(entity, 0) + 1)
        row["id"] = number
        self.check(entity, row)
        self._last[entity] = max(number, self._last.get(entity, 0))
        self.db.execute("insert or replace into civicrm_ids values (?, ?)", (entity, self._last[entity]))
        self._put(entity, number, row)
        return row

    def change(self, entity: str, number: int, values: Json) -> Json:
        row = self.tables[entity][number] | values
        self.check(entity, row, set(values))
        self._put(entity, number, row)
        return row

    def remove(self, entity: str, number: int) -> None:
        """The row goes, and with it what cannot be without it; elsewhere its id is cleared."""
        with self.at_once():
            self._put(entity, number, None)
            for other, fields in ENTITIES.items():
                for field in fields.values():
                    if field.refers != entity or field.is_computed:
                        continue
                    for row in self.find(other, **{field.name: number}):
                        if field.on_delete == "cascade":
                            if row["id"] in self.tables[other]:
                                self.remove(other, row["id"])
                        else:
                            self._put(other, row["id"], row | {field.name: None})

    def check(self, entity: str, row: Json, only: set[str] | None = None) -> None:
        for name, field in ENTITIES[entity].items():
            if only is not None and name not in only:
                continue
            value = row.get(name)
            if value is None:
                if field.is_filled:
                    raise violation()
                continue
            if field.refers and not field.is_computed and value not in self.tables[field.refers]:
                raise violation()
            if field.is_unique and any(
                other != row["id"] for other in self.index(entity, name).get(key(value), ())
            ):
                raise already()
        if entity == "ParticipantPayment":
            pair = {name: row[name] for name in ("participant_id", "contribution_id")}
            if any(other["id"] != row["id"] for other in self.find(entity, **pair)):
                raise already()

    def _put(self, entity: str, number: int, row: Json | None) -> None:
        if self._undo is not None:
            self._undo.append((entity, number, self.tables[entity].get(number)))
        if row is None:
            self.db.execute("delete from civicrm_rows where entity = ? and id = ?", (entity, number))
        else:
            self.db.execute(
                "insert or replace into civicrm_rows values (?, ?, ?)", (entity, number, orjson.dumps(row))
            )
        self._hold(entity, number, row)

    def _hold(self, entity: str, number: int, row: Json | None) -> None:
        table = self.tables[entity]
        old = table.get(number)
        for name, found in self._index.get(entity, {}).items():
            if old is not None:
                found.get(key(old.get(name)), set()).discard(number)
            if row is not None:
                found.setdefault(key(row.get(name)), set()).add(number)
        if entity in ("CustomGroup", "CustomField"):
            self.views.clear()
        if row is None:
            table.pop(number, None)
        else:
            table[number] = row


def default_of(kind: str, text: str | None) -> Any:
    if text is None:
        return None
    if kind == "Boolean":
        return text == "true"
    return float(text) if kind in ("Money", "Float") else int(text) if kind == "Integer" else text


def moment(text: Any, zone: ZoneInfo, now: float) -> str | None:
    """A time as `strtotime` reads it, as local time of the site; None when nobody can read it."""
    words = str(text).strip()
    if words.lower() in ("now", "today"):
        return datetime.fromtimestamp(now, zone).strftime(STAMP if words == "now" else "%Y-%m-%d 00:00:00")
    try:
        if words.isdigit() and len(words) == 14:
            found = datetime.strptime(words, "%Y%m%d%H%M%S")  # noqa: DTZ007 - local time
        elif words.startswith("@"):
            found = datetime.fromtimestamp(float(words[1:]), UTC)
        else:
            found = datetime.fromisoformat(words)
    except ValueError:
        return None
    return (found.astimezone(zone) if found.tzinfo else found).strftime(STAMP)
