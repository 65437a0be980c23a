"""Which rows of a sync model differ from what was last sent, found as sets by DuckDB.

A row is told by a fingerprint of its values; only rows whose fingerprint is new are looked at one by one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from boxoffice.build import SyncModel

FETCHED = 5_000  # rows at a time


@dataclass(frozen=True)
class Wanted:
    """A row of a model whose fingerprint is new. copies: rows that have exactly its key; twins: those whose
    key differs by case and outer blanks at most, itself included."""

    key: str | None
    fingerprint: str
    copies: int
    twins: int
    values: Mapping[str, Any]


@contextmanager
def opened(warehouse: Path) -> "Iterator[Differ]":
    """Reads the warehouse, which stays as it is."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        yield Differ(connection)


class Differ:
    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._types: dict[str, dict[str, str]] = {}

    def types(self, models: Iterable[SyncModel]) -> dict[str, dict[str, str]]:
        """Model to its columns' types, of those that are built."""
        if not self._types:
            query = "select schema_name || '.' || table_name, column_name, data_type from duckdb_columns()"
            for table, column, data_type in self._connection.execute(query).fetchall():
                self._types.setdefault(table, {})[column] = data_type
        places = {model.name: f"{model.schema}.{model.alias}" for model in models}
        return {name: self._types[place] for name, place in places.items() if place in self._types}

    def count(self, model: SyncModel) -> int:
        """Rows of the model."""
        ((found,),) = self._connection.execute(f"select count(*) from {_table(model)}").fetchall()
        return int(found)

    def changed(
        self,
        model: SyncModel,
        key: str,
        columns: Sequence[str],
        stamp: str,
        sent: Sequence[tuple[str, str | None]],
    ) -> Iterator[Wanted]:
        """The rows whose fingerprint is not the one sent, by key. Nothing else may be asked meanwhile.

        Args:
            stamp: what else a fingerprint depends on. sent: key and fingerprint of each row.
        """
        types = self.types([model])[model.name]
        read = ", ".join(_read(column, types[column]) for column in columns)
        values = ", ".join(f"'{column}': {_name(column)}" for column in columns)
        self._lend(sent)
        query = f"""
            with read as (select {read}, cast({_name(key)} as varchar) as _key from {_table(model)}),
            desired as (
                select
                    *,
                    md5(cast(to_json({{{values}}}) as varchar) || $stamp) as _fingerprint,
                    count(*) over (partition by _key) as _copies,
                    count(*) over (partition by lower(trim(_key))) as _twins
                from read
            )
            select _key, _fingerprint, _copies, _twins, {", ".join(map(_name, columns))}
            from desired left join _sent on desired._key = _sent.key
            where _copies > 1 or _sent.fingerprint is distinct from _fingerprint
            order by _key
        """
        found = self._connection.execute(query, {"stamp": stamp})
        while rows := found.fetchmany(FETCHED):
            for key_of, fingerprint, copies, twins, *rest in rows:
                yield Wanted(key_of, fingerprint, copies, twins, dict(zip(columns, rest, strict=True)))

    def gone(self, model: SyncModel, key: str, sent: Sequence[tuple[str, str | None]]) -> list[str]:
        """Keys that were sent and that the model no longer has."""
        self._lend(sent)
        query = (
            f"select key from _sent anti join {_table(model)} as desired"
            f" on _sent.key = cast(desired.{_name(key)} as varchar) order by key"
        )
        return [found for (found,) in self._connection.execute(query).fetchall()]

    def keys(self, model: SyncModel, key: str) -> set[str]:
        """Every key of the model."""
        query = f"select distinct cast({_name(key)} as varchar) from {_table(model)}"
        return {found for (found,) in self._connection.execute(query).fetchall()}

    def row(self, model: SyncModel, key: str, value: str) -> dict[str, Any] | None:
        """The first row with a key, column to value."""
        query = f"select * from {_table(model)} where cast({_name(key)} as varchar) = ? limit 1"
        found = self._connection.execute(query, [value]).to_arrow_table().to_pylist()
        return found[0] if found else None

    def _lend(self, sent: Sequence[tuple[str, str | None]]) -> None:
        keys = pa.array([key for key, _ in sent], pa.string())
        fingerprints = pa.array([fingerprint for _, fingerprint in sent], pa.string())
        lent = pa.table({"key": keys, "fingerprint": fingerprints})
        self._connection.register("_lent", lent)
        self._connection.execute("create or replace temp table _sent as select * from _lent")
        self._connection.unregister("_lent")


def _read(column: str, data_type: str) -> str:
    name = _name(column)
    is_zoned = data_type.upper() == "TIMESTAMP WITH TIME ZONE"
    return f"timezone('UTC', {name}) as {name}" if is_zoned else name


def _table(model: SyncModel) -> str:
    return f"{_name(model.schema)}.{_name(model.alias)}"


def _name(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
