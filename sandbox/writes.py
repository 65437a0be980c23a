"""Writing records as Airtable's Web API takes them: looked at whole first, then written whole or not at all.

The order of the looks: shape and count, names of fields, values, links, then which records are meant.
"""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from sandbox.bases import Base, Bases, Record, Table, is_empty, name_of
from sandbox.cells import RECORD_ID, TAKES, Cells, Named
from sandbox.refusals import (
    Refusal,
    no_permission,
    no_record,
    no_row,
    not_yours,
    unknown_field,
    wrong_parameter,
    wrong_records,
)
from sandbox.store import Json
from sandbox.switches import Settings

MOST = 10  # records of a request
MERGING = ("number", "singleLineText", "multilineText", "singleSelect", "multipleSelects", "date")
MOST_MERGING = 3
COMMON = ("typecast", "returnFieldsByFieldId")


@dataclass
class Row:
    """One record of a request. `record` is the one it means, once that is known."""

    id: str | None
    fields: Json
    items: list[tuple[Json, Any]] = field(default_factory=list)
    cells: Json = field(default_factory=dict)
    record: Record | None = None
    earlier: "Row | None" = None  # the row of this request that makes the record this one means


@dataclass
class Written:
    """`records` in the order of the request. `details`: what was not done though the answer is 200."""

    records: list[Record]
    updated: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    details: Json | None = None


class Writes:
    """Each method raises Refusal, and then nothing is written. Times in milliseconds since 1970."""

    def __init__(self, bases: Bases, settings: Settings) -> None:
        self.bases, self.settings = bases, settings

    def create(
        self, base: Base, table: Table, body: Json, moment: int, *, attachments_fail: bool = False
    ) -> Written:
        check_keys(body, {"fields", "records", *COMMON})
        if ("fields" in body) == ("records" in body):
            raise wrong_parameter()
        rows = rows_of([{"fields": body["fields"]}] if "fields" in body else body["records"], "created")
        if any(row.id is not None for row in rows):
            raise wrong_parameter()
        cells = self.looked_at(base, table, rows, body, attachments_fail=attachments_fail)
        return self.write(base, table, rows, cells, moment)

    def update_one(
        self, base: Base, table: Table, key: str, body: Json, moment: int, *, replaces: bool
    ) -> Written:
        if key not in table.records:
            raise no_record()
        check_keys(body, {"fields", *COMMON})
        rows = rows_of([{"fields": body.get("fields")}], "updated")
        rows[0].id, rows[0].record = key, table.records[key]
        cells = self.looked_at(base, table, rows, body)
        return self.write(base, table, rows, cells, moment, replaces=replaces)

    def update(self, base: Base, table: Table, body: Json, moment: int, *, replaces: bool) -> Written:
        """Records by id; with performUpsert also by the values of some fields, and what is not there is
        made."""
        check_keys(body, {"records", "performUpsert", *COMMON})
        rows = rows_of(body.get("records"), "updated")
        wish = body.get("performUpsert")
        names = [] if wish is None else merge_names(wish)
        if not names and any(row.id is None for row in rows):
            raise wrong_records("Every record to update needs an id.")
        merging = [found_field(table, name) for name in names]
        if any(item["type"] not in MERGING for item in merging):
            raise wrong_parameter()
        cells = self.looked_at(base, table, rows, body)
        self.match(table, rows, merging)
        return self.write(base, table, rows, cells, moment, replaces=replaces)

    def delete_one(self, base: Base, table: Table, key: str) -> list[str]:
        self.check_lock(table.id, "delete records in this table")
        if key not in table.records:
            raise no_record()
        with self.bases.at_once():
            self.bases.delete(base, table, key)
        return [key]

    def delete(self, base: Base, table: Table, keys: Any) -> list[str]:
        """The ids that are gone now, those that were gone before too where the switch says so."""
        check_count(keys, "deleted")
        if not all(isinstance(key, str) and RECORD_ID.fullmatch(key) for key in keys):
            raise wrong_records("Each record to delete is named by its id.")
        self.check_lock(table.id, "delete records in this table")
        missing = [key for key in keys if key not in table.records]
        if missing and self.settings.missing_in_delete != "ignore":
            refusals = {"not_found": no_record(), "row": no_row(missing[0]), "permission": not_yours()}
            raise refusals[self.settings.missing_in_delete]
        with self.bases.at_once():
            for key in dict.fromkeys(keys):
                if key in table.records:
                    self.bases.delete(base, table, key)
        return list(keys)

    # -- looking

    def looked_at(
        self, base: Base, table: Table, rows: list[Row], body: Json, *, attachments_fail: bool = False
    ) -> Cells:
        cells = Cells(base, table, self.settings, typecast=flag(body, "typecast"))
        flag(body, "returnFieldsByFieldId")
        cells.attachments_fail = attachments_fail
        for row in rows:
            row.items = [(found_field(table, name), cell) for name, cell in row.fields.items()]
        self.check_lock(table.id, "edit this table")
        for row in rows:
            for item, _ in row.items:
                self.check_lock(item["id"], f'edit cells in field "{item["name"]}"')
        for row in rows:
            row.cells = {item["id"]: cells.taken(item, cell) for item, cell in row.items}
        for row in rows:
            for item, _ in row.items:
                if item["type"] == "multipleRecordLinks":
                    cells.check_links(item, row.cells[item["id"]])
        return cells

    def check_lock(self, key: str, what: str) -> None:
        if key in self.settings.locked:
            raise no_permission(what)

    def match(self, table: Table, rows: list[Row], merging: list[Json]) -> None:
        """Find the record that each row means. Raises Refusal when there are several."""
        ids = [item["id"] for item in merging]
        if any(row.id is None and not set(ids) <= set(row.cells) for row in rows):
            raise wrong_parameter()
        known: dict[Hashable, list[Record]] = defaultdict(list)
        if any(row.id is None for row in rows):
            for record in table.records.values():
                known[self.key(record.cells, ids)].append(record)
        firsts: dict[Hashable, Row] = {}
        for row in rows:
            meant: Hashable = row.id
            if row.id is not None:
                row.record = table.records.get(row.id)
                if row.record is None:
                    raise no_row(row.id)
            else:
                key = self.key(row.cells, ids)
                if None in key and self.settings.null_merge == "create":
                    continue
                if len(known[key]) > 1:
                    why = "Cannot update more than one record"
                    raise Refusal(422, self.settings.multi_match_type, why)
                row.record = known[key][0] if known[key] else None
                meant = row.record.id if row.record else key
            if meant in firsts and self.settings.same_key_twice == "refuse":
                raise wrong_records("You cannot update the same record multiple times in a single request")
            if meant in firsts and self.settings.same_key_twice == "in_turn" and row.record is None:
                row.earlier = firsts[meant]
            firsts.setdefault(meant, row)

    def key(self, cells: Json, ids: list[str]) -> tuple[Hashable, ...]:
        """The values of the merge fields, as they are compared."""
        found: list[Hashable] = []
        for one in ids:
            cell = cells.get(one)
            if isinstance(cell, str):
                cell = cell.strip() if self.settings.merge_ignores_spaces else cell
                cell = cell.casefold() if self.settings.merge_ignores_case else cell
            found.append(None if is_empty(cell) else tuple(cell) if isinstance(cell, list) else cell)
        return tuple(found)

    # -- writing

    def write(
        self, base: Base, table: Table, rows: list[Row], cells: Cells, moment: int, *, replaces: bool = False
    ) -> Written:
        most = self.settings.records_of_base
        new = sum(row.record is None and row.earlier is None for row in rows)
        if most is not None and sum(len(one.records) for one in base.tables) + new > most:
            raise Refusal(422, self.settings.full_type, "This base has reached its limit of records.")
        done = Written([])
        moves_linked = self.settings.links_move_modified
        with self.bases.at_once():
            for key, names in cells.options.items():
                self.bases.add_options(base, table, key, names)
            for row in rows:
                self.settle_links(base, table, row, moment)
                record = row.earlier.record if row.earlier else row.record
                if record is None:
                    record = self.bases.create(base, table, row.cells, moment, moves_linked=moves_linked)
                    done.created.append(record.id)
                else:
                    kept: Json = {}
                    if replaces:
                        kept = {item["id"]: None for item in table.fields if item["type"] in TAKES}
                    self.bases.write(base, table, record, kept | row.cells, moment, moves_linked=moves_linked)
                    if record.id not in (*done.updated, *done.created):
                        done.updated.append(record.id)
                row.record = record
                done.records.append(record)
        if cells.failed_attachments:
            done.details = {"message": "partialSuccess", "reasons": ["attachmentsFailedUploading"]}
        return done

    def settle_links(self, base: Base, table: Table, row: Row, moment: int) -> None:
        """What typecast was given as text becomes the record of that name, a new one when there is none."""
        for item, _ in row.items:
            cell = row.cells[item["id"]]
            if not isinstance(cell, list) or not any(isinstance(one, Named) for one in cell):
                continue
            other = base.table(item["options"]["linkedTableId"])
            settled = []
            for one in cell:
                if other and isinstance(one, Named):
                    names = ((name_of(base, other, record), record) for record in other.records.values())
                    found = next((record for name, record in names if name == one), None)
                    if found is None:
                        self.check_lock(other.id, "create records in the linked table")
                        found = self.bases.create(base, other, {other.primary: str(one)}, moment)
                    one = found.id
                settled.append(one)
            row.cells[item["id"]] = list(dict.fromkeys(settled))


def check_keys(body: Json, known: set[str]) -> None:
    if not set(body) <= known:
        raise wrong_parameter()


def check_count(found: Any, done: str) -> None:
    if not isinstance(found, list) or not found:
        raise wrong_records(f"An array of 1 to {MOST} records is needed.")
    if len(found) > MOST:
        raise wrong_records(
            f"A maximum of {MOST} records can be {done} per request but you have provided {len(found)}."
        )


def rows_of(records: Any, done: str) -> list[Row]:
    """Shape and count of the records of a request, whose ids are no more than well formed."""
    check_count(records, done)
    found = []
    for record in records:
        if not isinstance(record, dict) or not set(record) <= {"id", "fields"}:
            raise wrong_parameter()
        if not isinstance(record.get("fields"), dict):
            raise wrong_parameter()
        key = record.get("id")
        if key is not None and not (isinstance(key, str) and RECORD_ID.fullmatch(key)):
            raise wrong_records(f"{key} is not the id of a record.")
        found.append(Row(key, record["fields"]))
    return found


def merge_names(wish: Any) -> list[Any]:
    names = wish.get("fieldsToMergeOn") if isinstance(wish, dict) else None
    if not isinstance(names, list) or not 1 <= len(names) <= MOST_MERGING or set(wish) != {"fieldsToMergeOn"}:
        raise wrong_parameter()
    return names


def found_field(table: Table, name: Any) -> Json:
    item = table.field(name) if isinstance(name, str) else None
    if item is None:
        raise unknown_field(str(name))
    return item


def flag(body: Json, name: str) -> bool:
    if not isinstance(body.get(name, False), bool | None):
        raise wrong_parameter()
    return bool(body.get(name))
