"""Gold to the marts file: a copy for BI tools, without personal columns, swapped in whole."""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from boxoffice.build import GoldTable

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

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
    with _swapped(marts) as fresh:
        rows = _copy(warehouse, fresh, tables)
    return PublishResult(tables=len(tables), rows=rows, seconds=time.perf_counter() - started)


def renew(warehouse: Path, marts: Path, tables: Mapping[str, GoldTable]) -> None:
    """Renew `tables` of the marts file, if there is one, and leave the others and its time as they are.

    For the tables of health: they tell how the last command ended, also while gold is not sound. One that
    the warehouse cannot show now stays as it is.
    """
    if not marts.exists():
        return
    held = marts.stat()
    with _swapped(marts) as fresh:
        shutil.copyfile(marts, fresh)
        _copy(warehouse, fresh, tables, is_whole=False)
        os.utime(fresh, ns=(held.st_atime_ns, held.st_mtime_ns))


@contextmanager
def _swapped(marts: Path) -> Iterator[Path]:
    """The path for a new file, which takes the place of `marts` when the block ends well."""
    _drop_leftovers(marts)
    fresh = marts.with_name(f".{marts.name}.{os.getpid()}.new")
    try:
        yield fresh
        _flush(fresh)
        # A shell that was opened on the old file may leave a log behind, which would not fit the new one.
        marts.with_name(f"{marts.name}.wal").unlink(missing_ok=True)
        fresh.replace(marts)
        _flush(marts.parent)
    except BaseException:
        with suppress(OSError):
            _drop_leftovers(marts)
        raise


def _copy(warehouse: Path, fresh: Path, tables: Mapping[str, GoldTable], *, is_whole: bool = True) -> int:
    """Copy tables, all or none; without `is_whole` those that can be read."""
    import duckdb

    rows = 0
    # In memory with both attached: a plain connect could return a file that another connection still holds.
    with duckdb.connect() as connection:
        connection.execute(f"attach {_literal(str(warehouse))} as warehouse (read_only)")
        connection.execute(f"attach {_literal(str(fresh))} as marts (storage_version '{STORAGE_VERSION}')")
        for name, table in sorted(tables.items()):
            try:
                rows += _copy_table(connection, name, table)
            except duckdb.Error:
                if is_whole:
                    raise
                logger.debug("%s is not renewed", name, exc_info=True)
        connection.execute("checkpoint marts")
        connection.execute("detach marts")
    return rows


def _copy_table(connection: "duckdb.DuckDBPyConnection", name: str, table: GoldTable) -> int:
    columns = ", ".join(_name(column) for column in table.columns)
    path = f"{_name(table.schema)}.{_name(name)}"
    target = f"marts.{path}"
    connection.execute(f"create schema if not exists marts.{_name(table.schema)}")
    connection.execute(f"create or replace table {target} as select {columns} from warehouse.{path}")
    connection.execute(f"comment on table {target} is {_literal(table.description.strip())}")
    for column, description in table.columns.items():
        connection.execute(f"comment on column {target}.{_name(column)} is {_literal(description.strip())}")
    counted = connection.execute(f"select count(*) from {target}").fetchone()
    return counted[0] if counted else 0


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
