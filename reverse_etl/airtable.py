"""Airtable: from sync models to a base, so that it holds what they say, in as few calls as it takes.

One call for the schema, which a listener keeps; none for a table in which nothing has changed. The way of a
run: `binding` finds the tables and fields, `look` what the base holds where that has to be asked, `differ`
the rows that are others than those sent, `plan` the cells and calls, `apply` sends them; `journal` remembers,
`cells` converts.
"""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxoffice.airtable_api import Client, Withheld
from boxoffice.build import SyncModel
from boxoffice.errors import BoxofficeError, ConfigurationError
from reverse_etl import binding, bootstrap, differ, plan
from reverse_etl.apply import Writer, Written
from reverse_etl.binding import Binding, Words
from reverse_etl.differ import Differ
from reverse_etl.journal import Journal
from reverse_etl.look import Look, Progress
from reverse_etl.plan import Parents, Plan

DESTINATION = "airtable"
KEPT_FOR, KEPT_IN_DOUBT = 3600.0, 300.0  # seconds


class NotSetUp(ConfigurationError):
    """Nobody has said that the base is to be written to."""


@dataclass
class Outcome:
    """What a run would do and what it did. written: by model. made: tables and fields that bootstrap made."""

    plans: list[Plan] = field(default_factory=list)
    written: dict[str, Written] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    problems: list[BoxofficeError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Schema:
    """The base's tables, asked for once an hour; sooner after something was refused, as people may have
    changed them.

    Args:
        clock: seconds that only go up.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked_at = self._until = -math.inf
        self._tables: list[dict[str, Any]] = []

    def tables(self, client: Client) -> list[dict[str, Any]]:
        """Raises as `Client.tables`."""
        if self._clock() >= self._until:
            self._tables, self._asked_at = client.tables(), self._clock()
            self._until = self._asked_at + KEPT_FOR
        return self._tables

    def learn(self, outcome: Outcome) -> None:
        """From what came of a run. A row that is refused again and again is no reason to ask each time."""
        is_row_refused = any(written.rejections for written in outcome.written.values())
        if outcome.problems or is_row_refused:
            kept_for = 0.0 if outcome.problems else KEPT_IN_DOUBT
            self._until = min(self._until, self._asked_at + kept_for)

    def forget(self) -> None:
        self._until = -math.inf


class Sync:
    """One run against one base.

    Args:
        words: what airtable_fields.csv says. policies: what settings.csv says. others: names of models that
            there are, and that are left alone in this run. schema: where several runs share one.
    """

    def __init__(
        self,
        client: Client,
        journal: Journal,
        warehouse: Path,
        models: Sequence[SyncModel],
        *,
        words: Words,
        policies: Mapping[str, str],
        others: Collection[str] = (),
        schema: Schema | None = None,
        progress: Progress = lambda what, done, total: None,
    ) -> None:
        self._client, self._journal, self._warehouse = client, journal, warehouse
        self._schema = schema or Schema()
        self._models, self._words, self._policies = models, words, policies
        self._others = others
        self._progress = progress
        self._tables: list[dict[str, Any]] | None = None
        self._looks: dict[str, Look] = {}
        self._table_ids: dict[str, str] = {}
        self.outcome = Outcome()

    def connect(self, *, bootstraps: bool = False) -> None:
        """Read the schema, and make what it lacks if that is wanted.

        Raises:
            ConfigurationError: the mappings make no sense. NotSetUp: there is nothing to write to.
            CallError: Airtable does not give the schema, or does not let tables be made.
        """
        binding.check(self._models, self._words, self._policies, self._others)
        self._progress("reading the schema", 0, None)
        tables = self._schema.tables(self._client)
        remembered = self._journal.bindings()
        if bootstraps:
            self.outcome.made = bootstrap.make(
                self._client, self._models, tables, self._words, self._policies, remembered
            )
            if self.outcome.made:
                self._schema.forget()
                tables = self._schema.tables(self._client)
        elif not remembered and not binding.is_set_up(self._models, tables, self._words):
            raise self.not_set_up()
        self._tables = tables

    @property
    def is_unknown(self) -> bool:
        """Whether the base was never written to, and airtable_fields.csv does not say that it should be."""
        return not self._journal.bindings() and not any(self._words.values())

    def not_set_up(self) -> NotSetUp:
        wanted = binding.wanted(self._models, self._words)
        names = ", ".join(binding.table_word(model, self._words) for model in wanted)
        remedy = f"`python -m reverse_etl airtable --bootstrap` makes the tables {names}."
        return NotSetUp("Nothing is written to Airtable.", remedy)

    def plan(self, *, bootstraps: bool = False, reconciles: bool = False, again: bool = True) -> None:
        """Find out what is to be done. Changes nothing in the base but what `bootstraps` makes.

        Args:
            reconciles: read every table whole. again: as `plan.made`.

        Raises:
            As `connect`.
        """
        if self._tables is None:
            self.connect(bootstraps=bootstraps)
        with differ.opened(self._warehouse) as rows:
            bound = self._bound(rows).bound
            self._settle(bound)
            plans: dict[str, Plan] = {}
            for each in bound:
                look = self._looks[each.table_id]
                if reconciles or not self._journal.reconciled(each.model.name):
                    look.reconcile(overwrites=reconciles or each.policies.on_edit == "overwrite")
                parents = Parents(self._journal, self._table_ids, plans)
                made = plan.made(each, rows, self._journal, look, parents, again=again)
                made.reconciled = reconciles
                plans[each.model.name] = made
            self.outcome.plans = list(plans.values())
            self.outcome.problems += [problem for each in plans.values() for problem in each.problems]

    def write(self) -> None:
        """Do what was planned, parents first. A table that Airtable does not let be written is left out.

        Raises:
            CallError: no table can be written any more; what was written stays, and the next run goes on.
        """
        try:
            for each in self.outcome.plans:
                look = self._looks[each.bound.table_id]
                writer = Writer(self._client, self._journal, each, look, self._table_ids, self._progress)
                self.outcome.written[each.bound.model.name] = writer.written
                try:
                    writer.write()
                except Withheld as problem:
                    self.outcome.problems.append(problem)
                self.outcome.problems += writer.written.problems
        finally:
            self._schema.learn(self.outcome)

    def _bound(self, rows: Differ) -> Binding:
        remembered = self._journal.bindings()
        types = rows.types(self._models)
        assert self._tables is not None
        found = binding.bind(self._models, self._tables, self._words, self._policies, remembered, types)
        for name, words in found.words.items():
            self._journal.bind(name, words)
        self.outcome.problems += found.problems
        self.outcome.notes += found.notes
        self._table_ids = {model: key for (model, column), (_, key) in remembered.items() if not column}
        self._table_ids |= {each.model.name: each.table_id for each in found.bound}
        self._looks = {
            each.table_id: Look(self._client, self._journal, each, self._progress) for each in found.bound
        }
        return found

    def _settle(self, bound: Sequence[binding.Bound]) -> None:
        """What became of the writes that a killed run left unanswered. Those of tables that are not bound
        now wait."""
        for call in self._journal.unanswered():
            if call.table_id in self._looks:
                self._looks[call.table_id].settle(call)
