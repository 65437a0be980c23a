"""How rows reach bronze: a dlt pipeline per source, parquet files, snapshots and upserts by key."""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.configuration.utils import get_resolved_traces
from dlt.common.destination.client import LoadJob, PreparedTableSchema
from dlt.common.storages.load_storage import ParsedLoadJobFileName
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob

from boxoffice.errors import BoxofficeError, FailedCall, explained
from boxoffice.settings import Settings

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how much is done, and how much there is (None: unknown)."""

TIMESTAMP = pa.timestamp("us")

SNAPSHOT = "x-snapshot"
"""The hint of a table that is always loaded whole."""

UPSERT = "x-upsert"
"""The hint of a table whose rows are replaced by key: the key's columns, comma separated."""


def memory_for(rows: int) -> str:
    """What DuckDB may hold while it handles so many wide rows; beyond it, it spills beside the warehouse."""
    return f"{128 + rows // 1000}MB"


# Types of bronze columns, as Arrow and as SQL.
SQL_TYPES = {pa.string(): "varchar", pa.int64(): "bigint", TIMESTAMP: "timestamp"}


@dataclass
class TableResult:
    """What became of one table. `landed` counts rows written because they are new or changed."""

    table: str
    read: int = 0
    landed: int = 0
    rejected: int = 0


@dataclass
class SourceResult:
    """What became of one source: status is ok, partial (landed, and needs a look), failed or skipped.

    failures: every call that failed for good; a problem that came of one refers to it.
    """

    source: str
    status: str = "ok"
    tables: list[TableResult] = field(default_factory=list)
    problems: list[BoxofficeError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[FailedCall] = field(default_factory=list)
    requests: int = 0
    seconds: float = 0.0


def quiet(what: str, done: int, total: int | None) -> None:
    """The progress of whoever does not watch."""


def pipeline_for(source: str, settings: Settings) -> dlt.Pipeline:
    """The pipeline that lands `source` in schema `bronze_<source>` of the warehouse.

    Raises:
        BoxofficeError: its working folder or the warehouse cannot be used.
    """
    if "'" in str(settings.dlt_dir):
        raise BoxofficeError(
            f"The warehouse lies at {settings.warehouse_path}; a path with an apostrophe cannot be used.",
            "Move it to a folder without one and set DATABASE_URL to it.",
        )
    with plain_errors(settings):
        settings.warehouse_path.parent.mkdir(parents=True, exist_ok=True)
        settings.dlt_dir.mkdir(parents=True, exist_ok=True)
        _configure_dlt(settings)
        try:
            return _attach(source, settings)
        except (ValueError, KeyError, OSError):
            # A working folder torn by a power cut. Nothing in it is needed: bronze says what to read.
            shutil.rmtree(settings.dlt_dir / source, ignore_errors=True)
            return _attach(source, settings)


def _attach(source: str, settings: Settings) -> dlt.Pipeline:
    return dlt.pipeline(
        pipeline_name=source,
        destination=_Warehouse(credentials=str(settings.warehouse_path), destination_name="duckdb"),
        dataset_name=schema_of(source),
        pipelines_dir=str(settings.dlt_dir),
    )


def schema_of(source: str) -> str:
    return f"bronze_{source}"


def _configure_dlt(settings: Settings) -> None:
    """Set dlt up whatever folder or home the process has: nothing is read from or written to either."""
    os.environ.update(
        {
            "DLT_DATA_DIR": str(settings.dlt_dir),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "RUNTIME__LOG_LEVEL": "CRITICAL",
            # Ctrl-C belongs to the command; a killed load is finished by the next one.
            "RUNTIME__INTERCEPT_SIGNALS": "false",
            # The warehouse may be yesterday's: what dlt remembers of it must never decide anything.
            "RESTORE_FROM_DESTINATION": "false",
            "ENABLE_RUNTIME_TRACE": "false",
            "LOAD__DELETE_COMPLETED_JOBS": "true",
            "LOAD__WORKERS": "1",
            "NORMALIZE__WORKERS": "1",
        }
    )
    logging.getLogger("dlt").setLevel(logging.CRITICAL)
    # It remembers each look at each setting for ever: in a listener half a megabyte a batch.
    get_resolved_traces().logging_enabled = False


def snapshot(name: str, path: Path, schema: pa.Schema, rows: int) -> Any:
    """A dlt resource that makes table `name` hold exactly the rows of one parquet file, in one transaction.

    dlt's own ways write the rows twice (merge) or show a partial table after a kill (replace).

    Args:
        path: the file, gone or linked elsewhere after landing; its columns are those of `schema`.
    """
    marked = dlt.mark.with_file_import(str(path), "parquet", items_count=rows, hints=schema.empty_table())
    resource = dlt.resource([marked], name=name, write_disposition="append")
    return resource.apply_hints(additional_table_hints={SNAPSHOT: True})


def upsert(name: str, path: Path, schema: pa.Schema, rows: int, keys: Sequence[str]) -> Any:
    """A dlt resource that merges one parquet file into table `name`: held rows of the same key are replaced.

    It does what dlt's merge does, in one transaction and without a staging copy of every row.

    Args:
        path: the file, gone or linked elsewhere after landing; its columns are those of `schema`, its keys
            are unique.
    """
    marked = dlt.mark.with_file_import(str(path), "parquet", items_count=rows, hints=schema.empty_table())
    resource = dlt.resource([marked], name=name, write_disposition="append")
    return resource.apply_hints(additional_table_hints={UPSERT: ",".join(keys)})


class _UpsertJob(DuckDbCopyJob):
    """Replaces the rows whose keys its file holds. It can run again after a kill: the outcome is the same."""

    def run(self) -> None:
        client = self._job_client.sql_client
        name = client.make_qualified_table_name(self.load_table_name)
        keys = ", ".join(f'"{key}"' for key in str(self._load_table[UPSERT]).split(","))
        file = f"read_parquet('{self._file_path}')"
        # Payloads are wide: more threads would only hold more of them at once.
        client.execute_sql("SET threads = 1")
        rows = pq.read_metadata(self._file_path).num_rows
        client.execute_sql(f"SET memory_limit = '{memory_for(rows)}'")
        with client.begin_transaction():
            client.execute_sql(f"DELETE FROM {name} WHERE ({keys}) IN (SELECT ({keys}) FROM {file})")
            client.execute_sql(f"INSERT INTO {name} BY NAME SELECT * FROM {file}")


class _SnapshotJob(DuckDbCopyJob):
    """Replaces all rows of its table. It can run again after a kill: the outcome is the same."""

    def run(self) -> None:
        client = self._job_client.sql_client
        name = client.make_qualified_table_name(self.load_table_name)
        with client.begin_transaction():
            client.execute_sql(f"DELETE FROM {name}")
            client.execute_sql(f"INSERT INTO {name} BY NAME SELECT * FROM read_parquet('{self._file_path}')")


class _WarehouseClient(DuckDbClient):
    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        is_parquet = ParsedLoadJobFileName.parse(file_path).file_format == "parquet"
        if is_parquet and table.get(SNAPSHOT):
            return _SnapshotJob(file_path)
        if is_parquet and table.get(UPSERT):
            return _UpsertJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)


class _Warehouse(dlt.destinations.duckdb):
    """dlt's DuckDB destination, which also knows snapshots and upserts."""

    @property
    def client_class(self) -> type[DuckDbClient]:
        return _WarehouseClient

    def capabilities(self, config: Any = None, naming: Any = None) -> Any:
        # Asked without a configuration dlt resolves one, dozens of times a load; DuckDB's can do the same
        # whatever it says.
        return super().capabilities(self.spec() if config is None else config, naming)


def finish_pending(pipeline: dlt.Pipeline, settings: Settings) -> bool:
    """Finish what an earlier, killed run began, before anything new is read. True if there was something.

    A package that can no longer be loaded is dropped: its source is read again, because watermarks and
    fingerprints are written only after the rows they speak of.
    """
    found = False
    with plain_errors(settings):
        while pipeline.has_pending_data:
            found = True
            try:
                pipeline.run(loader_file_format="parquet")
            except Exception as error:
                if explained(error) is not None:
                    raise
                pipeline.abort_packages()
    return found


def finish_rows(pipeline: dlt.Pipeline, settings: Settings) -> None:
    """Finish the rows a killed run left; drop a watermark it left, and anything left of another warehouse.

    A watermark, a row of table `listings`, that arrives late may meet a warehouse restored from before its
    rows.
    """
    if not pipeline.has_pending_data:
        return
    names = {
        job.job_file_info.table_name
        for package_id in (
            *pipeline.list_extracted_load_packages(),
            *pipeline.list_normalized_load_packages(),
        )
        for jobs in pipeline.get_load_package_info(package_id).jobs.values()
        for job in jobs
    }
    if "listings" in names or not settings.warehouse_path.exists():
        pipeline.abort_packages()
    finish_pending(pipeline, settings)


def land(pipeline: dlt.Pipeline, settings: Settings, *resources: Any) -> None:
    """Land the resources, each a table of its own, in one load package; a pending one is finished first.

    Raises:
        BoxofficeError: the warehouse or the disk refuses. Errors raised inside a resource come out as they
            were raised.
    """
    # dlt would load the pending package alone and pass over what it is given.
    finish_pending(pipeline, settings)
    with plain_errors(settings):
        pipeline.run(list(resources), loader_file_format="parquet").raise_on_failed_jobs()
    # What was loaded is in the warehouse; dlt would keep a note of every package for ever.
    shutil.rmtree(Path(pipeline.working_dir) / "load" / "loaded", ignore_errors=True)


@contextmanager
def plain_errors(settings: Settings) -> Iterator[None]:
    """Turn what the disk, DuckDB and dlt say about foreseeable trouble into a BoxofficeError."""
    try:
        yield
    except BoxofficeError:
        raise
    except Exception as error:
        known = explained(error, settings.warehouse_path)
        if known is None:
            raise
        raise known from error


@contextmanager
def warehouse(settings: Settings, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """A connection to the warehouse; None when it is to be read and does not exist yet.

    Close it before anything lands: an open one shows its own process the old file.
    """
    with plain_errors(settings):
        if read_only and not settings.warehouse_path.exists():
            yield None
            return
        with duckdb.connect(str(settings.warehouse_path), read_only=read_only) as connection:
            yield connection


def ensure_tables(settings: Settings, source: str, tables: Mapping[str, pa.Schema]) -> None:
    """Make every table with all its columns that bronze lacks. One look when nothing is missing.

    Args:
        tables: name to schema; the types are those of SQL_TYPES.
    """
    schema_name = schema_of(source)
    held: dict[str, set[str]] = {}
    with warehouse(settings) as connection:
        if connection is not None:
            held = _columns(connection, schema_name)
    missing = {
        name: [column for column in schema if column.name not in held.get(name, ())]
        for name, schema in tables.items()
    }
    if not any(missing.values()):
        return
    settings.warehouse_path.parent.mkdir(parents=True, exist_ok=True)
    with warehouse(settings, read_only=False) as connection:
        assert connection is not None
        connection.begin()
        connection.execute(f'create schema if not exists "{schema_name}"')
        for name, columns in missing.items():
            if not columns:
                continue
            if name not in held:
                listed = ", ".join(f'"{column.name}" {SQL_TYPES[column.type]}' for column in columns)
                connection.execute(f'create table "{schema_name}"."{name}" ({listed})')
                continue
            for column in columns:
                listed = f'"{column.name}" {SQL_TYPES[column.type]}'
                connection.execute(f'alter table "{schema_name}"."{name}" add column {listed}')
        connection.commit()


def _columns(connection: duckdb.DuckDBPyConnection, schema_name: str) -> dict[str, set[str]]:
    rows = connection.execute(
        "select table_name, column_name from duckdb_columns() where schema_name = ? and not internal",
        [schema_name],
    ).fetchall()
    columns: dict[str, set[str]] = {}
    for table_name, column_name in rows:
        columns.setdefault(table_name, set()).add(column_name)
    return columns


def only_changed(
    settings: Settings, source: str, table_name: str, keys: Sequence[str], batch: pa.Table
) -> pa.Table:
    """The rows of `batch` whose keys, with that payload_hash, are not present in bronze already.

    A row that bronze has marked missing counts as not present. The table has columns `payload_hash` and, if
    rows can vanish, `missing_since`.
    """
    with warehouse(settings) as connection:
        held = _columns(connection, schema_of(source)).get(table_name) if connection is not None else None
        if connection is None or held is None or batch.num_rows == 0:
            return batch
        same = " and ".join(f'held."{key}" = batch."{key}"' for key in (*keys, "payload_hash"))
        present = "and held.missing_since is null" if "missing_since" in held else ""
        connection.register("batch", batch)
        return connection.execute(
            f'select batch.* from batch anti join "{schema_of(source)}"."{table_name}" as held '
            f"on {same} {present}"
        ).to_arrow_table()


def as_payloads(
    objects: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Callable[[Mapping[str, Any]], Any]],
    landed_at: datetime,
) -> pa.Table:
    """API objects as one Arrow table: their columns, then payload, payload_hash, missing_since, landed_at.

    Args:
        objects: as received; the payload keeps every key, in its order.
        columns: name to what reads it from an object. `changed` and `created_at` give ISO 8601 text and land
            as UTC timestamps; all others land as text.
    """
    data: dict[str, pa.Array] = {}
    for name, read in columns.items():
        values = [read(each) for each in objects]
        if name in ("changed", "created_at"):
            data[name] = pa.array([utc_timestamp(value) for value in values], TIMESTAMP)
        else:
            data[name] = pa.array([None if value is None else str(value) for value in values], pa.string())
    data["payload"] = pa.array([orjson.dumps(each).decode() for each in objects], pa.string())
    data["payload_hash"] = pa.array([payload_hash(each) for each in objects], pa.string())
    data["missing_since"] = pa.nulls(len(objects), TIMESTAMP)
    data["landed_at"] = pa.array([utc_timestamp(landed_at)] * len(objects), TIMESTAMP)
    return pa.table(data)


def moment_or_none(text: Any) -> datetime | None:
    """As `utc_timestamp`; None for what is no time."""
    with suppress(ValueError, OverflowError):
        return utc_timestamp(text) if isinstance(text, str) else None
    return None


def is_writable(each: Any) -> bool:
    """Whether it can be a payload: nothing is nested deeper than orjson writes, which is 254 levels."""
    try:
        orjson.dumps(each)
    except orjson.JSONEncodeError:
        return False
    return True


def payload_hash(each: Mapping[str, Any]) -> str:
    """BLAKE2b-128, in hex, of the object with sorted keys and without its own address."""
    body = {key: value for key, value in each.items() if key != "resource_uri"}
    return hashlib.blake2b(orjson.dumps(body, option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def utc_timestamp(moment: str | datetime | None) -> datetime | None:
    """A moment as UTC without zone, from ISO 8601 text or a datetime; text without a zone is UTC already."""
    if moment is None or moment == "":
        return None
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
