"""Gold to the marts file: a copy for BI tools, without personal columns, swapped in whole."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from boxoffice.build import GoldTable

# The oldest DuckDB that reads the marts file and a new warehouse.
STORAGE_VERSION = "v1.4.0"


@dataclass(frozen=True)
class PublishResult:
    tables: int
    rows: int
    seconds: float


def publish(warehouse: Path, marts: Path, tables: Mapping[str, GoldTable]) -> PublishResult:
    """Copy `tables` with the columns they list into a new file, then rename it over `marts`.

    A reader of the old file keeps reading it undisturbed; a kill leaves the old file as it was. Only one
    process may publish at a time: the caller holds the lock.
    """
    started = time.perf_counter()
    marts.parent.mkdir(parents=True, exist_ok=True)
    _drop_leftovers(marts)
    fresh = marts.with_name(f".{marts.name}.{os.getpid()}.new")
    try:
        rows = _copy(warehouse, fresh, tables)
        _flush(fresh)
        # A shell that was opened on the old file may leave a log behind, which would not fit the new one.
        marts.with_name(f"{marts.name}.wal").unlink(missing_ok=True)
        fresh.replace(marts)
        _flush(marts.parent)
    except BaseException:
        with suppress(OSError):
            _drop_leftovers(marts)
        raise
    return PublishResult(tables=len(tables), rows=rows, seconds=time.perf_counter() - started)


def _copy(warehouse: Path, fresh: Path, tables: Mapping[str, GoldTable]) -> int:
    import duckdb

    rows = 0
    # In memory with both attached: a plain connect could return a file that another connection still holds.
    with duckdb.connect() as connection:
        connection.execute(f"attach {_literal(str(warehouse))} as warehouse (read_only)")
        connection.execute(f"attach {_literal(str(fresh))} as marts (storage_version '{STORAGE_VERSION}')")
        for name, table in sorted(tables.items()):
            columns = ", ".join(_name(column) for column in table.columns)
            path = f"{_name(table.schema)}.{_name(name)}"
            target = f"marts.{path}"
            connection.execute(f"create schema if not exists marts.{_name(table.schema)}")
            connection.execute(f"create table {target} as select {columns} from warehouse.{path}")
            connection.execute(f"comment on table {target} is {_literal(table.description.strip())}")
            for column, description in table.columns.items():
                connection.execute(
                    f"comment on column {target}.{_name(column)} is {_literal(description.strip())}"
                )
            counted = connection.execute(f"select count(*) from {target}").fetchone()
            rows += counted[0] if counted else 0
        connection.execute("checkpoint marts")
        connection.execute("detach marts")
    return rows


def _drop_leftovers(marts: Path) -> None:
    for leftover in marts.parent.glob(f".{marts.name}.*.new*"):
        leftover.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
