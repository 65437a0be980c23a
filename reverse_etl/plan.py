"""What a sync would do to one table: from rows whose fingerprint is new to cells, calls and refusals.

Exact as of what was read: `apply.py` does this and nothing else.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import Any

from boxoffice.airtable_api import BATCH_SIZE, MOST_IN_A_SECOND
from boxoffice.errors import BoxofficeError
from boxoffice.ops import IN_DOUBT
from reverse_etl import cells
from reverse_etl.binding import Bound
from reverse_etl.cells import LINK, Unfit
from reverse_etl.differ import Differ, Wanted
from reverse_etl.journal import Journal, Rejection, Row
from reverse_etl.look import Look, Record, folded, twice

NO_KEY = "(no key)"


@dataclass
class Change:
    """A row to be made, or cells of one to be set.

    kind: create, adopt, update or archive. cells: to be sent, by field id. before: what they hold as far as
    we know. whole: every cell as it is wanted. links: by field id, the keys of
    the parents, whose records may yet have to be made. options: options that fields lack. theirs: see Row.
    replaces: the key that the record has as yet.
    """

    kind: str
    key: str
    record: str | None
    cells: dict[str, Any]
    before: Mapping[str, Any]
    whole: dict[str, Any]
    fingerprint: str | None
    links: Mapping[str, list[str]] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    theirs: Collection[str] = ()
    replaces: str | None = None

    @property
    def row(self) -> Row:
        """What the destination holds once this is done."""
        return Row(self.key, self.whole, self.fingerprint, self.record, self.theirs)


@dataclass
class Plan:
    """What is to be done to one table.

    rows: of the model. deletes: key to record. unchanged: rows whose fingerprint is new and whose cells are
    not. resolved: keys that were rejected and no longer are. forgotten: keys that neither model nor base has.
    kept: rows that the model no longer has, which stay. left: rows that people deleted, which are not made
    again. edits, missing: see Look. reconciled: people's edits are to be overwritten, as somebody asked for.
    """

    bound: Bound
    rows: int = 0
    creates: list[Change] = field(default_factory=list)
    adopts: list[Change] = field(default_factory=list)
    updates: list[Change] = field(default_factory=list)
    deletes: dict[str, str] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    unchanged: list[Row] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    problems: list[BoxofficeError] = field(default_factory=list)
    kept: int = 0
    left: int = 0
    edits: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    reconciled: bool = False

    @property
    def archived(self) -> int:
        return sum(change.kind == "archive" for change in self.updates)

    @property
    def changes(self) -> int:
        """Rows that it makes, changes or removes."""
        return sum(map(len, (self.creates, self.adopts, self.updates, self.deletes)))

    @property
    def calls(self) -> int:
        """Write calls that it takes."""
        stages = (self.creates, self.adopts, self.updates, self.deletes)
        return sum(ceil(len(stage) / BATCH_SIZE) for stage in stages)

    @property
    def seconds(self) -> float:
        return self.calls / MOST_IN_A_SECOND

    @cached_property
    def keys(self) -> set[str]:
        """Rows that will have a record."""
        return {change.key for change in (*self.creates, *self.adopts)}

    @cached_property
    def rekeyed(self) -> dict[str, str | None]:
        """Rows that get a record which has another key as yet."""
        return {change.key: change.record for change in self.updates if change.replaces}


class Parents:
    """Which rows of the tables that links lead to have a record, or will have one."""

    def __init__(self, journal: Journal, table_ids: Mapping[str, str], plans: Mapping[str, Plan]) -> None:
        self._journal, self._table_ids, self._plans = journal, table_ids, plans
        self._records: dict[str, dict[str, str]] = {}

    def record(self, model: str, key: str) -> str | None:
        if model not in self._records:
            self._records[model] = self._journal.records(self._table_ids[model])
        rekeyed = self._plans[model].rekeyed if model in self._plans else {}
        return self._records[model].get(key) or rekeyed.get(key)

    def will_be(self, model: str, key: str) -> bool:
        return model in self._plans and key in self._plans[model].keys


def made(
    bound: Bound, differ: Differ, journal: Journal, look: Look, parents: Parents, *, again: bool = True
) -> Plan:
    """The plan of one table. Reads the base only where a row that may be there already is to be made.

    Args:
        again: rows that were refused before are tried, too.
    """
    return _Planner(bound, differ, journal, look, parents).made(again)


class _Planner:
    def __init__(self, bound: Bound, differ: Differ, journal: Journal, look: Look, parents: Parents) -> None:
        self._bound, self._differ, self._journal = bound, differ, journal
        self._look, self._parents = look, parents
        self._plan = Plan(bound)
        self._named: dict[str, Record] = {}

    def made(self, again: bool) -> Plan:
        bound, plan, table_id = self._bound, self._plan, self._bound.table_id
        rejected = self._journal.rejected(table_id)
        if again:
            self._ask_again(rejected)
        sent = self._journal.sent(table_id)
        self._records = self._journal.records(table_id)
        self._sent = {key for key, _ in sent}
        plan.rows = self._differ.count(bound.model)
        stamp = f"{bound.stamp} {self._journal.generations(list(bound.parents.values()))}"
        changed = self._differ.changed(bound.model, bound.key_column, list(bound.columns), stamp, sent)
        spared: set[str] = set()
        for row in self._with_sound_keys(changed):
            if not again and row.key in rejected:
                spared.add(row.key)
            else:
                self._add(row)
        self._lacking = self._differ.gone(bound.model, bound.key_column, sent)
        if bound.match:
            self._rekey({key for key, fingerprint in sent if fingerprint is None})
            self._adopt()
        self._add_gone()
        refused = {each.key for each in plan.rejections}
        waiting = {change.key for change in (*plan.creates, *plan.adopts, *plan.updates)}
        plan.resolved = sorted(rejected.keys() - refused - waiting - spared)
        plan.edits, plan.missing = self._look.edits, self._look.missing
        # Rows with new options share calls, and so do those that were refused before.
        for changes in (plan.creates, plan.adopts, plan.updates):
            changes.sort(key=lambda change: (not change.options, change.key in rejected))
        return plan

    def _ask_again(self, rejected: Mapping[str, str]) -> None:
        doubtful = [
            key for key, rule in rejected.items() if rule == "ambiguous" and key not in self._look.conflicts
        ]
        found = self._look.find(doubtful) if doubtful else {}
        if self._bound.match:
            # People have said by its key which record it is.
            self._named = {key: records[0] for key, records in found.items() if len(records) == 1}
            found = {key: records for key, records in found.items() if len(records) > 1}
        self._look.heal(found)

    def _with_sound_keys(self, rows: Iterable[Wanted]) -> Iterator[Wanted]:
        """Rows that their key tells from all others; the others are rejected."""
        column = self._bound.key.name
        without = 0
        told: set[str] = set()
        for row in rows:
            if row.key is None or not row.key.strip():
                without += 1
            elif row.key in told:
                continue
            elif reason := self._unsound(row.key, row):
                remedy = "Make the keys of the model differ, each one line without blanks around it."
                self._plan.rejections.append(Rejection(row.key, "key", reason, remedy, column, row.key))
                told.add(row.key)
            else:
                yield row
        if without:
            reason = f"{without} rows of the model have no key, so nobody could find them again."
            self._plan.rejections.append(
                Rejection(NO_KEY, "key", reason, "Give them one in the model, or leave them out.", column)
            )

    def _unsound(self, key: str, row: Wanted) -> str | None:
        """Why the record of a row could not be told from others by this key, if so."""
        if row.copies > 1:
            return f"{row.copies} rows of the model have this key."
        if key != " ".join(key.splitlines()).strip():
            return "It has blanks around it or several lines, of which Airtable may make something else."
        if row.twins > 1 and key not in self._sent:
            return "Another row has this key but for case or blanks, which Airtable may overlook."
        return None

    def _add(self, row: Wanted) -> None:
        assert row.key is not None
        if row.key in self._look.conflicts:
            self._plan.rejections.append(twice(self._bound, row.key))
            return
        whole: dict[str, Any] = {}
        links: dict[str, list[str]] = {}
        options: list[str] = []
        for column, item in self._bound.columns.items():
            value = row.values[column] if column != self._bound.key_column else row.key
            try:
                if item.type == LINK:
                    whole[item.id], keys = self._linked(column, value)
                    if keys:
                        links[item.id] = keys
                else:
                    whole[item.id], new = self._written(item, value)
                    options += new
            except Unfit as unfit:
                kept = None if item.id in self._bound.personal else value
                self._plan.rejections.append(
                    Rejection(row.key, unfit.rule, unfit.reason, unfit.remedy, item.name, kept)
                )
                return
        if self._bound.archive:
            whole[self._bound.archive.id] = None
        self._compare(row.key, row.fingerprint, whole, links, options)

    def _written(self, item: cells.Field, value: Any) -> tuple[Any, list[str]]:
        """The cell, and the options that the field gets for it."""
        try:
            return cells.written(item, value), []
        except Unfit as unfit:
            if unfit.option is None or self._bound.policies.create_options == "no":
                raise
            texts = cells.texts(value)
            names = {choice.get("name") for choice in item.choices}
            return (texts[0] if item.type == "singleSelect" else texts), [
                f"{item.name}: {text}" for text in texts if text not in names
            ]

    def _linked(self, column: str, value: Any) -> tuple[list[str] | None, list[str]]:
        """The link cell, without the parents that are still to be made; and the parents' keys."""
        parent = self._bound.parents[column]
        keys = cells.texts(value) if value is not None else []
        found = [self._parents.record(parent, key) for key in keys]
        for key, record in zip(keys, found, strict=True):
            if record is None and not self._parents.will_be(parent, key):
                thing = parent.rpartition("__")[2]
                raise Unfit(
                    "parent",
                    f"What it links to is not in Airtable: {key} of {thing}.",
                    f"See what keeps {key} out: `python -m reverse_etl airtable --explain {key}`.",
                )
        return [record for record in found if record is not None] or None, keys

    def _compare(
        self,
        key: str,
        fingerprint: str,
        whole: dict[str, Any],
        links: Mapping[str, list[str]],
        options: list[str],
        replaces: str | None = None,
    ) -> None:
        """Sort a row of sound cells into what is to be done about it."""
        plan, policies = self._plan, self._bound.policies
        record = self._records.get(replaces or key)
        if record is None:
            if key in self._sent and policies.on_missing == "leave":
                plan.left += 1
                return
            sending = {each: cell for each, cell in whole.items() if cell is not None or each in links}
            plan.creates.append(Change("create", key, None, sending, {}, whole, fingerprint, links, options))
            return
        held = self._journal.row(self._bound.table_id, replaces or key)
        # Where nothing was written before and nothing is to be, what stands in the field is people's.
        whole = {
            each: cell
            for each, cell in whole.items()
            if cell is not None or each in held.cells or each in links
        }
        kept: set[str] = set()
        if policies.on_null == "keep":
            archive = self._bound.archive.id if self._bound.archive else None
            kept = {each for each, cell in whole.items() if cell is None and each != archive}
            whole |= {each: held.known.get(each) for each in kept}
        sending = {
            each: cell
            for each, cell in whole.items()
            if each not in kept and self._differs(each, cell, held.cells, links)
        }
        if not sending:
            plan.unchanged.append(Row(key, whole, fingerprint, theirs=held.theirs))
            return
        known = {each: cell for each, cell in held.known.items() if each in sending}
        change = Change("update", key, record, sending, known, whole, fingerprint, links, options)
        change.theirs = [each for each in held.theirs if each not in sending]
        change.replaces = replaces
        plan.updates.append(change)

    def _differs(
        self, each: str, cell: Any, before: Mapping[str, Any], links: Mapping[str, list[str]]
    ) -> bool:
        if before.get(each) == IN_DOUBT or (each in links and len(links[each]) > len(cell or ())):
            return True
        return not cells.same(self._bound.fields[each], cell, before.get(each))

    # -- records that are there already

    def _rekey(self, healed: set[str]) -> None:
        """Rows to be made whose record has a key that is no more: where warehouse and ops file were lost,
        keys are given anew. Such a record is told by its name, of several of a name by all that it holds.

        Args:
            healed: keys of the rows that were read, and not sent as far as we know.
        """
        assert self._bound.match
        match, key_id = self._bound.columns[self._bound.match].id, self._bound.key.id
        archive = self._bound.archive.id if self._bound.archive else None
        ours = healed & self._records.keys() - self._journal.adopted(self._bound.table_id)
        orphans: dict[str, dict[str, Row]] = {}
        for key in (key for key in self._lacking if key in ours):
            row = self._journal.row(self._bound.table_id, key)
            if archive is None or row.cells.get(archive) is not True:
                orphans.setdefault(folded(row.cells.get(match)), {})[key] = row
        creates, self._plan.creates = self._plan.creates, []
        names = Counter(folded(change.whole[match]) for change in creates)
        for change in creates:
            name = folded(change.whole[match])
            found = orphans.get(name, {}) if name else {}
            if len(found) > 1 or names[name] > 1:
                found = {
                    key: row
                    for key, row in found.items()
                    if not any(
                        self._differs(each, cell, row.cells, change.links)
                        for each, cell in change.whole.items()
                        if each != key_id
                    )
                }
            if len(found) == 1:
                (key,) = found
                del orphans[name][key]
                self._compare(
                    *(change.key, change.fingerprint or "", change.whole, change.links, change.options), key
                )
            else:
                self._plan.creates.append(change)

    def _adopt(self) -> None:
        """Rows to be made that people have made already, told by their name."""
        assert self._bound.match
        match = self._bound.columns[self._bound.match]
        plan = self._plan
        creates, plan.creates = plan.creates, []
        for change in creates:
            if change.key in self._named:
                self._complete(change, self._named[change.key])
        creates = [change for change in creates if change.key not in self._named]
        names = Counter(folded(change.whole[match.id]) for change in creates)
        for change in creates:
            name = change.whole[match.id]
            found = self._look.nobodys(name) if folded(name) else []
            if not found:
                plan.creates.append(change)
            elif len(found) > 1 or names[folded(name)] > 1:
                many = f"{len(found)} records" if len(found) > 1 else "a record that another row fits too"
                plan.rejections.append(
                    Rejection(
                        change.key,
                        "ambiguous",
                        f"{self._bound.table} has {many} of this name without a key.",
                        f"Write the key into {self._bound.key.name} of the one that it is.",
                        match.name,
                        name,
                    )
                )
            else:
                self._complete(change, found[0])

    def _complete(self, change: Change, found: Record) -> None:
        """What people wrote stays until there is a new value, unless they want it otherwise."""
        is_kept = self._bound.policies.on_edit == "keep"
        held = {each: cell for each, cell in found.cells.items() if cell is not None}
        change.kind, change.record = "adopt", found.id
        change.cells = {
            each: cell
            for each, cell in change.cells.items()
            if each in (self._bound.key.id, *change.cells.keys() - held.keys())
            or (not is_kept and not cells.same(self._bound.fields[each], cell, held[each]))
        }
        change.before = {each: held.get(each) for each in change.cells}
        change.theirs = [each for each in held if each not in change.cells]
        self._plan.adopts.append(change)

    # -- rows that are gone

    def _add_gone(self) -> None:
        bound, plan, policies = self._bound, self._plan, self._bound.policies
        replaced = {change.replaces for change in plan.updates}
        lacking = [key for key in self._lacking if key not in replaced]
        # What people had made is not ours to remove.
        theirs = self._journal.adopted(bound.table_id)
        gone = [key for key in lacking if key in self._records and key not in theirs]
        plan.forgotten = [key for key in lacking if key not in self._records]
        plan.kept = len(theirs.intersection(lacking))
        if policies.on_delete == "keep":
            plan.kept += len(gone)
            return
        if bound.archive:
            held = {key: self._journal.row(bound.table_id, key) for key in gone}
            gone = [key for key in gone if held[key].cells.get(bound.archive.id) is not True]
        share = len(gone) / max(len(self._records), 1)
        if gone and (share > policies.max_delete_share or (plan.rows == 0 and policies.max_delete_share < 1)):
            what = "archive" if bound.archive else "delete"
            plan.kept += len(gone)
            plan.problems.append(
                BoxofficeError(
                    f"{bound.model.name} lacks {len(gone):,} of the {len(self._records):,} rows that"
                    f" {bound.table} has of us; more than {policies.max_delete_share:.0%} are not"
                    f" {what}d in one go.",
                    "If they are really gone, raise max_delete_share in settings.csv for one run"
                    " (1 allows all).",
                )
            )
            return
        if bound.archive is None:
            plan.deletes = {key: self._records[key] for key in gone}
            return
        for key in gone:
            cell = {bound.archive.id: True}
            before = {each: old for each, old in held[key].known.items() if each in cell}
            whole = {**held[key].cells, **cell}
            change = Change("archive", key, self._records[key], dict(cell), before, whole, None)
            change.theirs = held[key].theirs
            plan.updates.append(change)
