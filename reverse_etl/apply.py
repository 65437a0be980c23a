"""Does what a plan says to one table: batches of ten, journaled before each call and after each answer.

A batch that is refused is split until the row is found that it is refused for.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from boxoffice.airtable_api import (
    ATTEMPTS,
    BATCH_SIZE,
    Client,
    Refused,
    Unanswered,
    Unavailable,
    Withheld,
)
from boxoffice.errors import BoxofficeError, CallError
from reverse_etl.journal import Journal, Rejection
from reverse_etl.look import Look, Progress, twice
from reverse_etl.plan import Change, Plan

# Batches in which every row is refused, one after another, before a table is given up; and calls, when
# Airtable blames no field, as it does when the base is full.
HOPELESS, HOPELESS_CALLS = 2, 6
RECORD = re.compile(r"rec[0-9A-Za-z]{14}")
GONE = ("ROW_DOES_NOT_EXIST", "MODEL_ID_NOT_FOUND")
REASONS = {
    "INVALID_VALUE_FOR_COLUMN": "Airtable does not take the value for this field",
    "INVALID_MULTIPLE_CHOICE_OPTIONS": "The field has no such option, and may not be given it",
    "REQUEST_TOO_LARGE": "The row is larger than Airtable takes",
}
T = TypeVar("T")


class Hopeless(BoxofficeError):
    """Airtable refuses whatever is sent."""


@dataclass
class Written:
    """What was done to one table, in rows."""

    done: Counter[str] = field(default_factory=Counter)
    rejections: list[Rejection] = field(default_factory=list)
    missing: int = 0
    problems: list[BoxofficeError] = field(default_factory=list)


class Writer:
    """Writes one table."""

    def __init__(
        self,
        client: Client,
        journal: Journal,
        plan: Plan,
        look: Look,
        table_ids: Mapping[str, str],
        progress: Progress,
    ) -> None:
        """table_ids: model to its table, of this one's parents."""
        self._client, self._journal, self._plan, self._look = client, journal, plan, look
        self._bound, self._table_ids, self._progress = plan.bound, table_ids, progress
        self._table = (plan.bound.table_id, plan.bound.table)
        self._refused_calls = 0
        self._links: dict[str, dict[str, str]] = {}
        self.written = Written()

    def write(self) -> None:
        """Creates, then adoptions, updates and deletes. `written` tells what was done, also when this raises.

        Raises:
            CallError: Airtable did not do it; what was done stays.
        """
        plan = self._plan
        self._journal.keep(self._bound.table_id, plan.unchanged)
        self._journal.drop(self._bound.table_id, plan.forgotten)
        self._reject(plan.rejections)
        self._journal.resolve(self._bound.table_id, plan.resolved)
        for changes in (plan.creates, plan.adopts, plan.updates):
            try:
                self._write([change for change in changes if self._linked(change)])
            except Hopeless as problem:
                self.written.problems.append(problem)
        for keys in _batches(list(plan.deletes)):
            self._delete(keys)

    def _write(self, changes: Sequence[Change]) -> None:
        refused_batches = self._refused_calls = 0
        for batch in _batches(changes):
            before = len(self.written.rejections)
            self._send(batch)
            is_refused = len(self.written.rejections) - before == len(batch)
            refused_batches = refused_batches + 1 if is_refused else 0
            if refused_batches == HOPELESS:
                raise self._hopeless(self.written.rejections[-1].reason)
            self._progress(self._bound.table, sum(self.written.done.values()), self._plan.changes)

    def _hopeless(self, reason: str) -> Hopeless:
        return Hopeless(
            f"Airtable refuses every row of {self._bound.table}, so no more were sent. {reason}",
            "Mend that first; the next run tries all of them. A base that is full takes no more rows: one on"
            " the Free plan holds 1,000 in all its tables.",
        )

    def _linked(self, change: Change) -> bool:
        """Put in the records of parents, which are all made by now; False when one was refused."""
        for column, parent in self._bound.parents.items():
            item = self._bound.columns[column]
            keys = change.links.get(item.id)
            if not keys:
                continue
            if parent not in self._links:
                self._links[parent] = self._journal.records(self._table_ids[parent])
            found = self._links[parent]
            if missing := [key for key in keys if key not in found]:
                reason = f"What it links to was not written: {missing[0]} of {parent.rpartition('__')[2]}."
                remedy = f"See why: `python -m reverse_etl airtable --explain {missing[0]}`."
                self._reject([Rejection(change.key, "parent", reason, remedy, item.name, missing[0])])
                return False
            change.whole[item.id] = [found[key] for key in keys]
            if item.id in change.cells:
                change.cells[item.id] = change.whole[item.id]
        return True

    # -- one batch

    def _send(self, changes: Sequence[Change], known: Refused | None = None) -> bool:
        """Send changes of one kind; split them where they are refused. Returns whether all were done.

        Args:
            known: why these are refused, when that is known without sending them.
        """
        if not changes:
            return True
        refusal = known
        if refusal is None:
            try:
                self._create(changes) if changes[0].kind == "create" else self._update(changes)
                self._refused_calls = 0
                return True
            except Refused as error:
                refusal = error
                self._refused_calls = 0 if error.kind in (*REASONS, *GONE) else self._refused_calls + 1
                # A field that was deleted while this ran is missing for every row.
                if self._refused_calls == HOPELESS_CALLS or error.kind == "UNKNOWN_FIELD_NAME":
                    raise self._hopeless(f"It says {error.kind or 'nothing more'}.") from None
        meant = [change for change in changes if self._is_meant(change, refusal)]
        if 0 < len(meant) < len(changes):
            # Airtable names the record: no need to search.
            for change in meant:
                self._give_up(change, refusal)
            self._send([change for change in changes if change not in meant])
        elif len(changes) == 1:
            self._give_up(changes[0], refusal)
        else:
            half = len(changes) // 2
            is_first_done = self._send(changes[:half])
            # When the first half is not to blame, the second is.
            self._send(changes[half:], refusal if is_first_done else None)
        return False

    def _create(self, changes: Sequence[Change], attempt: int = 1) -> None:
        table_id, table = self._table
        call_id = self._begin("create", changes)
        try:
            records = self._client.create(
                table_id, table, [change.cells for change in changes], typecast=_makes_options(changes)
            )
        except Unanswered as lost:
            (call,) = [each for each in self._journal.unanswered() if each.call_id == call_id]
            found = self._look.settle(call)
            self._keep([change for change in changes if change.key in found])
            twins = [change.key for change in changes if change.key in self._look.conflicts]
            self._reject([twice(self._bound, key) for key in twins])
            rest = [change for change in changes if change.key not in {*found, *twins}]
            if rest and attempt == ATTEMPTS:
                self._client.failures += [lost.call] if lost.call else []
                raise Unavailable(lost.problem, lost.remedy) from None
            if rest:
                self._create(rest, attempt + 1)
            return
        except CallError:
            self._undo(call_id)
            raise
        made = {self._look.read(record).key: str(record["id"]) for record in records}
        for change, record in zip(changes, records, strict=True):
            change.record = made.get(change.key, str(record["id"]))
        self._journal.answered(call_id, table_id, rows=[change.row for change in changes])
        self._did(changes)

    def _keep(self, changes: Sequence[Change]) -> None:
        """Rows that were made although no answer came."""
        self._journal.keep(self._bound.table_id, [change.row for change in changes])
        self._did(changes)

    def _update(self, changes: Sequence[Change]) -> None:
        table_id, table = self._table
        is_adoption = changes[0].kind == "adopt"
        call_id = self._begin("adopt" if is_adoption else "update", changes)
        rows = [(str(change.record), change.cells) for change in changes]
        try:
            records = self._client.update(table_id, table, rows, typecast=_makes_options(changes))
        except CallError:
            if self._undo(call_id) and is_adoption:
                self._journal.drop(table_id, [change.key for change in changes])
            raise
        in_doubt: dict[str, list[str]] = {}
        read = {record["id"]: self._look.read(record) for record in records}
        for change in (each for each in changes if each.record in read):
            others = replace(change.row, cells=_without(change))
            edits = self._look.edited(others, read[change.record])
            if edits and self._bound.policies.on_edit == "overwrite":
                in_doubt[change.key] = list(edits)
        kept = [change.row for change in changes]
        gone = [change.replaces for change in changes if change.replaces]
        self._journal.answered(
            call_id, table_id, rows=kept, gone=gone, in_doubt=in_doubt, is_adopted=is_adoption
        )
        self._did(changes)

    def _delete(self, keys: Sequence[str]) -> None:
        table_id, table = self._table
        if not keys:
            return
        call_id = self._journal.begin(table_id, table, "delete", {key: [] for key in keys})
        try:
            self._client.delete(table_id, table, [self._plan.deletes[key] for key in keys])
        except (Refused, Withheld) as refusal:
            self._undo(call_id)
            self._delete_rest(keys, refusal)
            return
        except CallError:
            self._undo(call_id)
            raise
        self._journal.answered(call_id, table_id, gone=keys)
        self.written.done["delete"] += len(keys)

    def _delete_rest(self, keys: Sequence[str], refusal: Refused | Withheld) -> None:
        """What is left to delete of a batch that was not deleted: one that is gone keeps all others."""
        found = self._look.find(keys)
        rest = [key for key in keys if any(r.id == self._plan.deletes[key] for r in found.get(key, []))]
        self._journal.drop(self._bound.table_id, [key for key in keys if key not in rest])
        self.written.done["delete"] += len(keys) - len(rest)
        if len(rest) < len(keys):
            self._delete(rest)
        elif isinstance(refusal, Withheld):
            raise refusal
        elif len(rest) == 1:
            self._reject([self._rejection(rest[0], refusal)])
        else:
            self._delete(rest[: len(rest) // 2])
            self._delete(rest[len(rest) // 2 :])

    def _begin(self, operation: str, changes: Sequence[Change]) -> int:
        # What is to be adopted counts as sent at once: which cells are people's is known now only.
        before = [
            replace(change.row, cells=_without(change), fingerprint=None, record=None)
            for change in changes
            if operation == "adopt"
        ]
        rows = {change.key: list(change.cells) for change in changes}
        return self._journal.begin(*self._table, operation, rows, before=before)

    def _undo(self, call_id: int) -> bool:
        """After an error: whether nothing was changed, for sure; else the next run has to find out."""
        if not self._client.is_in_doubt:
            self._journal.undone(call_id)
        return not self._client.is_in_doubt

    def _did(self, changes: Sequence[Change]) -> None:
        self.written.done.update(change.kind for change in changes)
        self._journal.resolve(self._bound.table_id, [change.key for change in changes])

    # -- rows that are refused

    def _is_meant(self, change: Change, refusal: Refused) -> bool:
        """Whether Airtable's words name this row's record, or one that it links to."""
        named = set(RECORD.findall(refusal.message))
        linked = {record for item in change.links for record in change.cells.get(item) or ()}
        return bool(named & {change.record, *linked})

    def _give_up(self, change: Change, refusal: Refused) -> None:
        """One row that is refused, for sure."""
        named = set(RECORD.findall(refusal.message))
        is_own = change.record in named or not named
        if refusal.kind in GONE and is_own and change.record is not None:
            self._find_missing(change)
            return
        if refusal.call and refusal.call not in self._client.failures:
            self._client.failures.append(refusal.call)
        for column, parent in self._bound.parents.items():
            item = self._bound.columns[column]
            links = zip(change.links.get(item.id, ()), change.cells.get(item.id) or (), strict=False)
            gone = [key for key, record in links if record in named]
            if gone:
                self._journal.lose(self._table_ids[parent], gone)
                reason = f"What it links to is not in Airtable any more: {gone[0]}."
                remedy = "The next run makes both, unless on_missing is leave."
                self._reject([Rejection(change.key, "parent", reason, remedy, item.name, gone[0])])
                return
        self._reject([self._rejection(change.key, refusal, change)])

    def _find_missing(self, change: Change) -> None:
        """People deleted the record of a row."""
        self.written.missing += 1
        self._journal.lose(self._bound.table_id, [change.key])
        if self._bound.policies.on_missing == "leave" or change.kind == "archive":
            return
        cells = {each: cell for each, cell in change.whole.items() if cell is not None}
        self._send(
            [
                Change(
                    *("create", change.key, None, cells, {}, change.whole, change.fingerprint),
                    *(change.links, change.options),
                )
            ]
        )

    def _rejection(self, key: str, refusal: Refused, change: Change | None = None) -> Rejection:
        """What Airtable's words mean for a row. The words themselves can hold what is in its cells."""
        named = [each for each in self._bound.fields.values() if f'"{each.name}"' in refusal.message]
        item = named[0] if named else None
        if refusal.kind == "INVALID_MULTIPLE_CHOICE_OPTIONS" and change is not None:
            items = [each for each in self._bound.fields.values() if each.choices and each.id in change.cells]
            item = items[0] if len(items) == 1 else item
        said = REASONS.get(refusal.kind, "Airtable refuses the row")
        return Rejection(
            key,
            refusal.kind or "refused",
            f"{said} ({refusal.kind or 'no reason given'}).",
            "Compare the value with the field's type in Airtable; it is tried again in every run.",
            item.name if item else None,
            change.cells.get(item.id) if change and item and item.id not in self._bound.personal else None,
        )

    def _reject(self, rejections: Sequence[Rejection]) -> None:
        self._journal.reject(*self._table, rejections)
        self.written.rejections += rejections


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH_SIZE):
        yield items[start : start + BATCH_SIZE]


def _without(change: Change) -> dict[str, Any]:
    """The cells of a row that a change does not send."""
    return {each: cell for each, cell in change.whole.items() if each not in change.cells}


def _makes_options(changes: Sequence[Change]) -> bool:
    return any(change.options for change in changes)
