"""What the Airtable stand-in remembers: bases, their tables, fields and views, and records with their cells.

Cells are kept by field id, empty ones not at all. Tables are read whole when first asked for and written
through, record by record; what another process writes to the same file is noticed at the next `refresh`.
"""

import hashlib
import string
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from sandbox.store import Json, Store

COLORS = ("blueLight2", "greenLight2", "redLight2", "yellowLight2", "grayLight2")
NUMBERS = ("number", "percent", "currency", "rating", "duration", "count", "autoNumber")
ALPHABET = string.digits + string.ascii_letters

SCHEMA = """
create table if not exists airtable_bases (id text primary key, number integer not null, body blob not null);
create table if not exists airtable_tables (
    id text primary key, base_id text not null, number integer not null, last_record integer not null,
    body blob not null
);
create table if not exists airtable_records (
    id text primary key, table_id text not null, number integer not null, created integer not null,
    modified integer not null, cells blob not null
);
create index if not exists airtable_records_by_table on airtable_records (table_id, number);
"""


def identity(prefix: str, *of: Any) -> str:
    """An id as Airtable's look, the same for the same words: prefix and 14 letters or digits."""
    number = int.from_bytes(hashlib.sha256("/".join(map(str, of)).encode()).digest()[:11], "big")
    letters = []
    for _ in range(14):
        number, place = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[place])
    return prefix + "".join(letters)


def iso(moment: int) -> str:
    """Milliseconds since 1970 as Airtable writes a time."""
    seconds, part = divmod(moment, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{part:03d}Z"


def is_empty(value: Any) -> bool:
    """Whether a cell that holds this reads back absent. Zero is a value."""
    return value is None or value is False or value == "" or value == []


@dataclass(slots=True)
class Record:
    """`number` is its autoNumber and its place in creation order; times in milliseconds since 1970."""

    id: str
    number: int
    created: int
    modified: int
    cells: Json


@dataclass
class Table:
    """`fields` and `views` in the shape of the metadata API; a view's `_filter` (a formula) and `_sort` stay
    inside."""

    id: str
    name: str
    fields: list[Json]
    views: list[Json]
    primary: str
    description: str | None = None
    last_record: int = 0
    records: dict[str, Record] = field(default_factory=dict)

    def field(self, name: str) -> Json | None:
        """By id or name."""
        return next((item for item in self.fields if name in (item["id"], item["name"])), None)

    def view(self, name: str) -> Json | None:
        return next((item for item in self.views if name in (item["id"], item["name"])), None)

    def wire(self, *, has_visible: bool = False) -> Json:
        hidden = set() if has_visible else {"visibleFieldIds"}
        found: Json = {
            "id": self.id,
            "name": self.name,
            "primaryFieldId": self.primary,
            "fields": self.fields,
            "views": [
                {key: value for key, value in view.items() if key[0] != "_" and key not in hidden}
                for view in self.views
            ],
        }
        return found | ({"description": self.description} if self.description else {})


@dataclass
class Base:
    id: str
    name: str
    permission: str = "create"
    tables: list[Table] = field(default_factory=list)

    def table(self, name: str) -> Table | None:
        """By id or name."""
        return next((item for item in self.tables if name in (item.id, item.name)), None)

    def record(self, key: str) -> tuple[Table, Record] | None:
        """Wherever in the base it is."""
        return next(((table, table.records[key]) for table in self.tables if key in table.records), None)


class Bases:
    """All bases of one store. What changes a record goes through `write`, `create` and `delete`."""

    def __init__(self, store: Store) -> None:
        self.store, self.db = store, store.db
        self.db.executescript(SCHEMA)
        self.era = 0  # when it began anew: what was there before had other ids
        self._bases: dict[str, Base] | None = None
        self._version: tuple[int, int] | None = None

    # -- reading

    def refresh(self) -> None:
        """Forget what another process has changed in the file, or a snapshot has put back."""
        version = (self.db.execute("pragma data_version").fetchone()[0], self.store.restored)
        if version != self._version:
            self._version, self._bases = version, None

    def all(self) -> dict[str, Base]:
        if self._bases is None:
            self._bases = {base.id: base for base in self._read()}
            self.era = self.store.recall("airtable_era", 0)
        return self._bases

    def _read(self) -> Iterator[Base]:
        for key, body in self.db.execute("select id, body from airtable_bases order by number").fetchall():
            base = Base(id=key, **orjson.loads(body))
            tables = self.db.execute(
                "select id, last_record, body from airtable_tables where base_id = ? order by number", (key,)
            ).fetchall()
            for table_id, last_record, text in tables:
                table = Table(id=table_id, last_record=last_record, **orjson.loads(text))
                rows = self.db.execute(
                    "select id, number, created, modified, cells from airtable_records where table_id = ? "
                    "order by number",
                    (table_id,),
                )
                table.records = {
                    row[0]: Record(row[0], row[1], row[2], row[3], orjson.loads(row[4])) for row in rows
                }
                base.tables.append(table)
            yield base

    # -- writing

    def fill(self, bases: Iterable[Base]) -> None:
        """These bases and no others."""
        with self.at_once():
            for name in ("bases", "tables", "records"):
                self.db.execute(f"delete from airtable_{name}")
            for number, base in enumerate(bases):
                self.db.execute(
                    "insert into airtable_bases values (?, ?, ?)",
                    (base.id, number, orjson.dumps({"name": base.name, "permission": base.permission})),
                )
                for place, table in enumerate(base.tables):
                    self._keep_table(base, table, place)
                    self._keep(table, table.records.values())
        self._bases = None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What changes inside is kept whole or, after an exception, not at all."""
        self.db.execute("begin immediate")
        try:
            yield
            self.db.execute("commit")
        except BaseException:
            self.db.execute("rollback")
            self._bases = None
            raise

    def keep_schema(self, base: Base) -> None:
        self.db.execute(
            "update airtable_bases set body = ? where id = ?",
            (orjson.dumps({"name": base.name, "permission": base.permission}), base.id),
        )
        for place, table in enumerate(base.tables):
            self._keep_table(base, table, place)

    def new_id(self, prefix: str, *of: Any) -> str:
        """An id that was never given before, the same in the same course of events."""
        made = self.store.recall("airtable_made", 0) + 1
        self.store.remember("airtable_made", made)
        return identity(prefix, *of, made, self.era)

    def add_options(self, base: Base, table: Table, key: str, names: Iterable[str]) -> None:
        """New options of a select field, by its id."""
        item = table.field(key)
        if item:
            choices = item["options"]["choices"]
            for name in names:
                color = COLORS[len(choices) % len(COLORS)]
                choices.append({"id": self.new_id("sel", key, name), "name": name, "color": color})
            self.keep_schema(base)

    def delete_table(self, base: Base, table: Table) -> None:
        """The table goes; what linked to it becomes text, and empty."""
        base.tables.remove(table)
        self.db.execute("delete from airtable_tables where id = ?", (table.id,))
        self.db.execute("delete from airtable_records where table_id = ?", (table.id,))
        for other in base.tables:
            for item in other.fields:
                if item["type"] == "multipleRecordLinks" and item["options"]["linkedTableId"] == table.id:
                    self._cut(other, item)
        self.keep_schema(base)

    def cut_inverse(self, base: Base, item: Json) -> None:
        """A field that is about to link no more leaves text, and empty cells, on its other side."""
        if item["type"] == "multipleRecordLinks" and "inverseLinkFieldId" in item["options"]:
            other = base.table(item["options"]["linkedTableId"])
            inverse = other.field(item["options"]["inverseLinkFieldId"]) if other else None
            if other and inverse:
                self._cut(other, inverse)

    def _cut(self, table: Table, item: Json) -> None:
        item["type"] = "singleLineText"
        del item["options"]
        self.convert(table, item["id"], lambda cell: None)

    def create(
        self, base: Base, table: Table, cells: Json, moment: int, *, moves_linked: bool = False
    ) -> Record:
        """A new record; `cells` by field id, as for `write`."""
        table.last_record += 1
        key = identity("rec", table.id, table.last_record, self.era)
        record = table.records[key] = Record(key, table.last_record, moment, moment, {})
        self.db.execute(
            "update airtable_tables set last_record = ? where id = ?", (table.last_record, table.id)
        )
        self.write(base, table, record, cells, moment, moves_linked=moves_linked)
        return record

    def write(
        self,
        base: Base,
        table: Table,
        record: Record,
        cells: Json,
        moment: int,
        *,
        moves_linked: bool = False,
    ) -> None:
        """Set cells by field id; what is empty goes away. The other side of a link follows.

        Nothing is validated here. `moves_linked`: the linked records count as modified too.
        """
        touched = [(table, record)]
        for key, cell in cells.items():
            item = table.field(key)
            if item and item["type"] == "multipleRecordLinks":
                touched += self._link(base, record, item["options"], record.cells.get(key, []), cell or [])
            if is_empty(cell):
                record.cells.pop(key, None)
            else:
                record.cells[key] = cell
        for place, (owner, changed) in enumerate(touched):
            if not place or moves_linked:
                changed.modified = moment
            self._keep(owner, [changed])

    @staticmethod
    def _link(
        base: Base, record: Record, options: Json, old: list[str], new: list[str]
    ) -> list[tuple[Table, Record]]:
        """Make the inverse field say the same. Returns the records it changed."""
        inverse, other = options.get("inverseLinkFieldId"), base.table(options["linkedTableId"])
        touched = []
        for key in {*old} ^ {*new}:
            linked = other.records.get(key) if other and inverse else None
            if other and linked and inverse:
                others = [one for one in linked.cells.pop(inverse, []) if one != record.id]
                if key in new:
                    others.append(record.id)
                if others:
                    linked.cells[inverse] = others
                touched.append((other, linked))
        return touched

    def delete(self, base: Base, table: Table, key: str) -> None:
        """The record goes, and out of every cell that links to it. Raises KeyError when it is not there."""
        del table.records[key]
        self.db.execute("delete from airtable_records where id = ?", (key,))
        for other in base.tables:
            for item in other.fields:
                if item["type"] != "multipleRecordLinks" or item["options"]["linkedTableId"] != table.id:
                    continue
                for record in other.records.values():
                    links = record.cells.get(item["id"], [])
                    if key in links:
                        links.remove(key)
                        if not links:
                            del record.cells[item["id"]]
                        self._keep(other, [record])

    def convert(self, table: Table, key: str, kept: Callable[[Any], Any]) -> None:
        """Put what `kept` makes of each cell of a field; nobody's modified time moves."""
        for record in table.records.values():
            if key in record.cells:
                cell = kept(record.cells.pop(key))
                if not is_empty(cell):
                    record.cells[key] = cell
        self._keep(table, table.records.values())

    def _keep_table(self, base: Base, table: Table, place: int) -> None:
        body = {
            "name": table.name,
            "fields": table.fields,
            "views": table.views,
            "primary": table.primary,
            "description": table.description,
        }
        self.db.execute(
            "insert or replace into airtable_tables values (?, ?, ?, ?, ?)",
            (table.id, base.id, place, table.last_record, orjson.dumps(body)),
        )

    def _keep(self, table: Table, records: Iterable[Record]) -> None:
        self.db.executemany(
            "insert or replace into airtable_records values (?, ?, ?, ?, ?, ?)",
            [
                (item.id, table.id, item.number, item.created, item.modified, orjson.dumps(item.cells))
                for item in records
            ],
        )


def value(base: Base, table: Table, record: Record, item: Json) -> Any:
    """What the cell of the field `item` gives as JSON; None when it is absent."""
    kind, options = item["type"], item.get("options", {})
    if kind == "autoNumber":
        return record.number
    if kind == "createdTime":
        return _timed(options, record.created)
    if kind == "lastModifiedTime":
        return _timed(options, record.modified)
    if kind == "count":
        return len(record.cells.get(options["recordLinkFieldId"], ()))
    if kind == "multipleLookupValues":
        return _looked_up(base, table, record, options)
    return record.cells.get(item["id"])


def _timed(options: Json, moment: int) -> str:
    is_day = options.get("result", {}).get("type") == "date"
    return iso(moment)[:10] if is_day else iso(moment)


def _looked_up(base: Base, table: Table, record: Record, options: Json) -> list[Any] | None:
    link = table.field(options["recordLinkFieldId"])
    linked = link.get("options", {}).get("linkedTableId") if link else None
    other = base.table(linked) if linked else None
    wanted = other.field(options["fieldIdInLinkedTable"]) if other else None
    if link is None or other is None or wanted is None:
        return None
    found: list[Any] = []
    for key in record.cells.get(link["id"], ()):
        if key in other.records:
            one = value(base, other, other.records[key], wanted)
            found += one if isinstance(one, list) else [] if one is None else [one]
    return found or None


def text(base: Base, table: Table, record: Record, item: Json) -> str:
    """The cell as people read it: what formulas, sorting by links and cellFormat=string see."""
    return _as_text(base, item, value(base, table, record, item))


def _as_text(base: Base, item: Json, found: Any) -> str:
    if found is None:
        return ""
    if isinstance(found, list):
        return ", ".join(_as_text(base, item, one) for one in found)
    if isinstance(found, dict):
        return str(next((found[key] for key in ("name", "filename", "text", "label") if key in found), ""))
    if isinstance(found, bool):
        return "checked" if found else ""
    if isinstance(found, float) and found.is_integer():
        return str(int(found))
    if item["type"] == "multipleRecordLinks":
        linked = base.record(found)
        return name_of(base, *linked) if linked else ""
    return str(found)


def name_of(base: Base, table: Table, record: Record) -> str:
    """The text of its primary field."""
    primary = table.field(table.primary)
    return text(base, table, record, primary) if primary else ""
