"""What a table of the base holds, as far as a run has to ask: calls cost money, so mostly it does not.

A record is a row's when its key field says so, exactly.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from boxoffice.airtable_api import Client
from reverse_etl import cells
from reverse_etl.binding import Bound
from reverse_etl.journal import Call, Journal, Rejection, Row

AT_ONCE = 50  # keys in a formula
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Record:
    """A record as it was read. key: '' when the key field is empty. cells: of every field that we write."""

    id: str
    key: str
    cells: Mapping[str, Any]


class Look:
    """One table. What is found heals the journal.

    Attributes:
        conflicts: keys that several records have, none of which is known to be ours.
        edits: by field name, how many cells of ours people changed. missing: rows of ours that are gone.
    """

    def __init__(self, client: Client, journal: Journal, bound: Bound, progress: Progress) -> None:
        self._client, self._journal, self._bound, self._progress = client, journal, bound, progress
        self._nobodys: dict[str, list[Record]] | None = None
        self.conflicts: set[str] = set()
        self.edits: Counter[str] = Counter()
        self.missing = 0

    def read(self, record: Mapping[str, Any]) -> Record:
        """A record of an answer."""
        found = record.get("fields")
        found = found if isinstance(found, dict) else {}
        held = {key: cells.held(item, found.get(key)) for key, item in self._bound.fields.items()}
        return Record(str(record.get("id")), str(found.get(self._bound.key.id) or ""), held)

    def reconcile(self, *, overwrites: bool) -> None:
        """Read the whole table and heal key map and rows sent.

        Args:
            overwrites: what people wrote into our cells counts as what was last sent, so that it is not what
                is wanted; else it stays until there is a new value.
        """
        records = self._all()
        known = self._journal.records(self._bound.table_id)
        # Whatever people made of its key, a record that we know is ours.
        keys = {record: key for key, record in known.items()}
        by_key = _by_key(replace(each, key=keys.get(each.id, each.key)) for each in records)
        self._heal(by_key, known, overwrites=overwrites)
        gone = [key for key, record in known.items() if not _has(by_key.get(key, []), record)]
        gone = [key for key in gone if len(by_key.get(key, [])) != 1]
        self.missing += len(gone)
        self._journal.lose(self._bound.table_id, gone)
        self._journal.set_reconciled(self._bound.model.name)

    def settle(self, call: Call) -> set[str]:
        """Find out what became of a write that was not answered. Returns the keys that have a record."""
        table_id = self._bound.table_id
        if call.operation == "update":
            # The cells were set or not: sending them again tells which, and harms nothing.
            self._journal.answered(call.call_id, table_id, in_doubt=call.rows)
            return set(call.rows)
        by_key = self.find(call.rows)
        if call.operation == "delete":
            gone = [key for key in call.rows if key not in by_key]
            self._journal.answered(call.call_id, table_id, gone=gone)
            return set(by_key)
        rows = []
        for key, fields in call.rows.items():
            if len(by_key.get(key, [])) == 1:
                (record,) = by_key[key]
                before = self._journal.row(table_id, key)
                now = {each: record.cells.get(each) for each in fields}
                rows.append(Row(key, {**before.cells, **now}, None, record.id, before.theirs))
        found = {row.key for row in rows}
        # What was to be adopted counts as sent from the start; where it was not done it starts anew.
        gone = [key for key in call.rows if key not in found]
        is_adopted = call.operation == "adopt"
        self._journal.answered(call.call_id, table_id, rows=rows, gone=gone, is_adopted=is_adopted)
        self._conflict(key for key in by_key if key not in found)
        return found

    def find(self, keys: Iterable[str]) -> dict[str, list[Record]]:
        """Key to the records that have it."""
        wanted = list(keys)
        records: dict[str, Record] = {}
        for start in range(0, len(wanted), AT_ONCE):
            tests = ",".join(
                f"{{{self._bound.key.id}}}={_quoted(key)}" for key in wanted[start : start + AT_ONCE]
            )
            records.update(self._listed(f"OR({tests})"))
        found = _by_key(records.values())
        return {key: found[key] for key in wanted if key in found}

    def heal(self, by_key: Mapping[str, list[Record]]) -> None:
        """Take records that were found as ours; what has several is in conflict."""
        self._heal(by_key, {}, overwrites=True)

    def nobodys(self, name: Any) -> list[Record]:
        """Records without a key, and not ours, that have this name, however it is written."""
        if self._nobodys is None:
            self._all()
        assert self._nobodys is not None
        return self._nobodys.get(folded(name), [])

    def edited(self, sent: Row, record: Record) -> dict[str, Any]:
        """The cells of a record, by field id, that are not what was sent; counted as people's edits."""
        ours = {each: cell for each, cell in sent.known.items() if each not in sent.theirs}
        found = {
            each: cell
            for each, cell in record.cells.items()
            if each in ours and not cells.same(self._bound.fields[each], ours[each], cell)
        }
        self.edits.update(self._bound.fields[each].name for each in found)
        return found

    def _all(self) -> Iterable[Record]:
        records = self._listed(None)
        self._nobodys = defaultdict(list)
        if self._bound.match:
            match = self._bound.columns[self._bound.match].id
            # Whatever people made of its key, a record that we know is ours.
            ours = set(self._journal.records(self._bound.table_id).values())
            for record in records.values():
                if not record.key and record.id not in ours and folded(record.cells[match]):
                    self._nobodys[folded(record.cells[match])].append(record)
        return records.values()

    def _listed(self, formula: str | None) -> dict[str, Record]:
        records: dict[str, Record] = {}
        attempt = 0
        fields = list(self._bound.fields)
        for page in self._client.pages(
            self._bound.table_id, self._bound.table, formula=formula, fields=fields
        ):
            if page.attempt != attempt:
                records, attempt = {}, page.attempt
            described = [each for each in page.records if isinstance(each, dict) and "id" in each]
            records.update((each["id"], self.read(each)) for each in described)
            self._progress(f"reading {self._bound.table}", len(records), None)
        return records

    def _heal(
        self,
        by_key: Mapping[str, list[Record]],
        known: Mapping[str, str],
        *,
        overwrites: bool,
    ) -> None:
        rows: list[Row] = []
        for key, records in by_key.items():
            ours = [each for each in records if len(records) == 1 or each.id == known.get(key)]
            if not ours:
                self._conflict([key])
                continue
            (record,) = ours
            sent = self._journal.row(self._bound.table_id, key)
            edits = self.edited(sent, record)
            # Of a row that was sent, a field that was not written is people's.
            held = {each: record.cells[each] for each in record.cells if each in sent.cells or not sent.cells}
            now = {**held, **sent.known, **(edits if overwrites else {})}
            now[self._bound.key.id] = record.cells[self._bound.key.id]
            if now != sent.cells or known.get(key) != record.id:
                rows.append(Row(key, now, None, record.id, sent.theirs))
        self._journal.keep(self._bound.table_id, rows)

    def _conflict(self, keys: Iterable[str]) -> None:
        new = set(keys)
        self.conflicts |= new
        self._journal.reject(
            self._bound.table_id, self._bound.table, [twice(self._bound, key) for key in sorted(new)]
        )


def twice(bound: Bound, key: str) -> Rejection:
    """Several records have the key of one row."""
    return Rejection(
        key,
        "ambiguous",
        f"Several records of {bound.table} hold its key, and nothing tells which is ours.",
        f"Keep one of them in Airtable, or empty {bound.key.name} in the others.",
        bound.key.name,
    )


def folded(text: Any) -> str:
    """A name as names are compared: lower case, whatever is no letter or digit one space."""
    return re.sub(r"[\W_]+", " ", str(text or "").lower()).strip()


def _by_key(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.key:
            found[record.key].append(record)
    return found


def _has(records: Iterable[Record], record_id: str) -> bool:
    return any(each.id == record_id for each in records)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
