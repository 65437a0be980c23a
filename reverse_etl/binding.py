"""What sync models mean in a base today: their tables and fields, and what forbids writing, before any write.

A table or field is found by the word of airtable_fields.csv, else that of the model; by id, by name, or, when
it was renamed since, by the id that the word meant before.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

import orjson

from boxoffice.build import SyncModel
from boxoffice.errors import BoxofficeError, ConfigurationError
from reverse_etl import policies
from reverse_etl.cells import COMPUTED, KINDS, LINK, TEXTS, Field, family
from reverse_etl.policies import Policies

KEY_FIELD = "boxoffice key"
Words = Mapping[tuple[str, str], str]
Remembered = Mapping[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True)
class Bound:
    """A sync model and the table it is written to.

    columns: column to field, the key's among them. parents: link column to the model whose key it holds.
    archive: the checkbox of rows that are gone, where that is the policy.
    """

    model: SyncModel
    table_id: str
    table: str
    key_column: str
    columns: Mapping[str, Field]
    parents: Mapping[str, str]
    match: str | None
    policies: Policies
    archive: Field | None

    @property
    def key(self) -> Field:
        return self.columns[self.key_column]

    @property
    def fields(self) -> dict[str, Field]:
        """Every field that is written, by id."""
        found = {each.id: each for each in self.columns.values()}
        return {**found, self.archive.id: self.archive} if self.archive else found

    @property
    def personal(self) -> set[str]:
        """Ids of the fields whose values are for the destination alone."""
        return {item.id for column, item in self.columns.items() if self.model.columns[column].is_personal}

    @property
    def stamp(self) -> str:
        """Another one whenever the same row may make other cells."""
        fields = {
            column: (each.id, each.type, [choice.get("name") for choice in each.choices])
            for column, each in self.columns.items()
        }
        about = orjson.dumps((fields, self.archive and self.archive.id, self.policies.on_null))
        return hashlib.blake2b(about, digest_size=8).hexdigest()


@dataclass
class Binding:
    """bound: parents before their children. words: per model, column ('' for the table) to the word that was
    bound and the id it means. problems: each names what forbids writing a table. notes: what was renamed."""

    bound: list[Bound] = field(default_factory=list)
    words: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    problems: list[BoxofficeError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def in_order(models: Iterable[SyncModel]) -> list[SyncModel]:
    """Parents before their children.

    Raises:
        ConfigurationError: they link to each other in a circle.
    """
    by_name = {model.name: model for model in models}
    graph = {name: set(_parents(model).values()) & by_name.keys() for name, model in by_name.items()}
    try:
        return [by_name[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        circle = " and ".join(sorted(set(error.args[1])))
        raise ConfigurationError(f"{circle} link to each other.", "Let one of them go without.") from None


def wanted(models: Iterable[SyncModel], words: Words) -> list[SyncModel]:
    """Those whose table is to be written, parents first: not those bound to nothing, nor optional ones that
    are not bound."""
    return in_order(model for model in models if not _is_left_out(model, words))


def _is_left_out(model: SyncModel, words: Words) -> bool:
    is_default = (model.name, "") not in words
    return bool(model.meta.get("optional")) if is_default else not words[(model.name, "")]


def left_out(models: Iterable[SyncModel], words: Words) -> set[str]:
    """Names of the models whose table is not to be written, so that links to it are not either."""
    unbound = {name for (name, column), word in words.items() if not column and not word}
    return unbound | {model.name for model in models if _is_left_out(model, words)}


def table_word(model: SyncModel, words: Words) -> str:
    """What a model's table is called."""
    return words.get((model.name, ""), str(model.meta.get("table") or model.thing))


def field_words(model: SyncModel, words: Words, left_out: Collection[str] = ()) -> dict[str, str]:
    """Column to what its field is called, of every column that is written; not of links to what is left
    out."""
    key = str(model.meta.get("key"))
    found = {}
    for name, column in model.columns.items():
        if _parents(model).get(name) in left_out:
            continue
        default = column.meta.get("field") or (KEY_FIELD if name == key else "")
        found[name] = words.get((model.name, name), default) or (default if name == key else "")
    return {name: word for name, word in found.items() if word}


def is_set_up(models: Sequence[SyncModel], tables: Sequence[Mapping[str, Any]], words: Words) -> bool:
    """Whether people want the base to be written to: airtable_fields.csv says so, or a table of one of the
    models' names has the field of its key. Else a table of theirs may only happen to be called like ours."""
    if any(words.values()):
        return True
    for model in wanted(models, words):
        key = field_words(model, words).get(str(model.meta.get("key")))
        table = named(tables, table_word(model, words))
        if key and table and named(table.get("fields") or [], key):
            return True
    return False


def named(items: Sequence[Mapping[str, Any]], word: str) -> Mapping[str, Any] | None:
    """The table or field that has this id or name, however its case is."""
    plain = word.strip().casefold()
    for each in items:
        if each.get("id") == word or str(each.get("name")).strip().casefold() == plain:
            return each
    return None


def bind(
    models: Sequence[SyncModel],
    tables: Sequence[Mapping[str, Any]],
    words: Words,
    rows: Mapping[str, str],
    remembered: Remembered,
    types: Mapping[str, Mapping[str, str]],
) -> Binding:
    """Find the table and fields of every wanted model.

    Args:
        tables: the base's schema. rows: the policies in settings.csv. remembered: model and column to word
            and id of the last binding. types: model to its columns' DuckDB types, of those that are built.
    """
    found = Binding()
    out = left_out(models, words)
    for model in wanted(models, words):
        binder = _Binder(model, tables, field_words(model, words, out), remembered, found)
        bound = binder.bound(
            table_word(model, words), policies.of(rows, model.thing, model.meta), types.get(model.name)
        )
        if bound is not None:
            found.bound.append(bound)
    return found


class _Binder:
    """Binds one model; what is wrong goes to the binding's problems."""

    def __init__(
        self,
        model: SyncModel,
        tables: Sequence[Mapping[str, Any]],
        words: Mapping[str, str],
        remembered: Remembered,
        binding: Binding,
    ) -> None:
        self._model, self._tables, self._words = model, tables, words
        self._remembered, self._binding = remembered, binding
        self._is_sound = True

    def bound(self, word: str, policies: Policies, types: Mapping[str, str] | None) -> Bound | None:
        model, binding = self._model, self._binding
        if types is None:
            self._wrong(f"The table of {model.name} is not there.", "`make gold` builds it.")
            return None
        names = {str(each["id"]): str(each.get("name")) for each in self._tables}
        table_id = self._found("", word, names, "table")
        if table_id is None:
            self._wrong(
                f"The base has no table {word!r}, which {model.thing} are written to.",
                "`python -m reverse_etl airtable --bootstrap` makes it; or let airtable_fields.csv name"
                " yours, or nothing to leave it out.",
            )
            return None
        if other := next((each for each in binding.bound if each.table_id == table_id), None):
            self._wrong(
                f"{model.thing} and {other.model.thing} are both bound to table {names[table_id]}.",
                "Give each its own in airtable_fields.csv.",
            )
            return None
        said = next(each.get("fields") for each in self._tables if each["id"] == table_id)
        fields = {
            each["id"]: Field.of(each) for each in said or [] if isinstance(each, dict) and "id" in each
        }
        columns = self._columns(names[table_id], fields, types)
        parents = {column: parent for column, parent in _parents(model).items() if column in columns}
        archive = self._archive(names[table_id], fields, policies)
        match = model.meta.get("match")
        if not self._is_sound:
            return None
        binding.words[model.name] = {
            "": (word, table_id),
            **{column: (word, columns[column].id) for column, word in self._words.items()},
        }
        return Bound(
            model,
            table_id,
            names[table_id],
            str(model.meta["key"]),
            columns,
            parents,
            match if match in columns else None,
            policies,
            archive,
        )

    def _columns(self, table: str, fields: Mapping[str, Field], types: Mapping[str, str]) -> dict[str, Field]:
        columns: dict[str, Field] = {}
        names = {key: each.name for key, each in fields.items()}
        if str(self._model.meta.get("key")) not in self._model.columns:
            self._wrong(f"{self._model.name} names no key.", "Let `key` in its meta name a column.")
        for column, word in self._words.items():
            key = self._found(column, word, names, "field")
            if key is None:
                self._wrong(
                    f"Table {table} has no field {word!r} for {column}.",
                    "`python -m reverse_etl airtable --bootstrap` makes it; or let airtable_fields.csv name"
                    " yours, or nothing to leave it out.",
                )
                continue
            taken = next((other for other, each in columns.items() if each.id == key), None)
            if taken:
                self._wrong(
                    f"{taken} and {column} are both bound to field {names[key]} of {table}.",
                    "Give each its own in airtable_fields.csv.",
                )
            columns[column] = fields[key]
            self._check(table, column, fields[key], types.get(column))
        return columns

    def _check(self, table: str, column: str, item: Field, data_type: str | None) -> None:
        """Whether cells of the column can be written to the field at all."""
        where = f"Field {item.name} of {table}"
        leave = f"Bind {column} to another field in airtable_fields.csv, or to nothing."
        if data_type is None:
            self._wrong(f"{self._model.name} has no column {column}.", "Build it again, or mend its yml.")
        elif item.type in COMPUTED:
            self._wrong(f"{where} is computed ({item.type}): nothing can be written to it.", leave)
        elif item.type not in KINDS:
            self._wrong(f"{where} has type {item.type}, which boxoffice cannot write.", leave)
        elif family(data_type) not in KINDS[item.type].takes:
            problem = f"{where} has type {item.type}, which {column} ({data_type.lower()}) does not fit."
            self._wrong(problem, f"Change its type back, or the column's. {leave}")
        elif column == str(self._model.meta.get("key")) and item.type not in TEXTS:
            self._wrong(f"{where} holds the key and is no text.", "Let it be a single line of text.")
        else:
            self._check_link(where, column, item)

    def _check_link(self, where: str, column: str, item: Field) -> None:
        parent = _parents(self._model).get(column)
        if (parent is None) != (item.type != LINK):
            is_what = "is a link" if item.type == LINK else f"is no link but {item.type}"
            needs = "names no parent" if parent is None else f"holds keys of {parent}"
            remedy = "Bind it to another field in airtable_fields.csv, or to nothing."
            self._wrong(f"{where} {is_what}, and {column} {needs}.", remedy)
        if parent is None or item.type != LINK:
            return
        other = next((each for each in self._binding.bound if each.model.name == parent), None)
        to = str(item.options.get("linkedTableId"))
        known = other.table_id if other else self._remembered.get((parent, ""), ("", ""))[1]
        if known != to:
            names = {str(each["id"]): str(each.get("name")) for each in self._tables}
            problem = f"{where} links to {names.get(to, 'another table')}, where {parent} are not written."
            remedy = f"Bind {column} to a field that links there in airtable_fields.csv, or to nothing."
            self._wrong(problem, remedy)

    def _archive(self, table: str, fields: Mapping[str, Field], policies: Policies) -> Field | None:
        if policies.on_delete != "archive":
            return None
        word = policies.archive_field
        found = next((each for each in fields.values() if word in (each.id, each.name)), None)
        if found is None or found.type != "checkbox":
            self._wrong(
                f"Table {table} has no checkbox {word!r} to archive rows by.",
                "`--bootstrap` makes it; or name yours as archive_field in settings.csv.",
            )
        return found

    def _found(self, column: str, word: str, names: Mapping[str, str], what: str) -> str | None:
        """The id that a word means, of those in `names`: an id, else a name of today, else what it meant."""
        if word in names:
            return word
        exact = [key for key, name in names.items() if name == word]
        close = [key for key, name in names.items() if name.strip().casefold() == word.strip().casefold()]
        for keys in (exact, close):
            if len(keys) == 1:
                return keys[0]
        old, key = self._remembered.get((self._model.name, column), ("", ""))
        if old == word and key in names:
            now = f"The {what} that was {word} is called {names[key]} by now; it is written as before."
            self._binding.notes.append(now)
            return key
        return None

    def _wrong(self, problem: str, remedy: str) -> None:
        self._is_sound = False
        self._binding.problems.append(BoxofficeError(problem, remedy))


def _parents(model: SyncModel) -> dict[str, str]:
    found = model.meta.get("parents")
    return dict(found) if isinstance(found, dict) else {}


def check(
    models: Sequence[SyncModel], words: Words, rows: Mapping[str, str], others: Collection[str] = ()
) -> None:
    """Whether the mappings make sense, before anything is asked.

    Args:
        rows: the policies in settings.csv. others: names of models that there are, and that are left alone.

    Raises:
        ConfigurationError: a policy, or a line of airtable_fields.csv, that cannot be used.
    """
    by_name = {model.name: model for model in models}
    things = {name.rpartition("__")[2] for name in (*by_name, *others)}
    for name, column in words:
        thing = name.rpartition("__")[2]
        if thing not in things:
            problem = f"airtable_fields.csv names {thing}, which is no table of ours."
            raise ConfigurationError(problem, f"There are {', '.join(sorted(things))}.")
        if column and name in by_name and column not in by_name[name].columns:
            problem = f"airtable_fields.csv names column {column}, which {thing} have not."
            raise ConfigurationError(problem, f"They have {', '.join(by_name[name].columns)}.")
    policies.check(rows, things)
    for model in models:
        policies.of(rows, model.thing, model.meta)
    in_order(models)
