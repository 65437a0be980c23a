"""Airtable to bronze_airtable: records of the mapped tables, one row each, cells by field id in `payload`.

`airtable_sources.csv` in MAPPINGS_DIR says which tables are read and what their fields are to us. A table is
read by what changed since its last complete reading; once a day, and when its fields changed, it is read
whole. A table lands when it was read to the end, or not at all.
"""

import csv
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from boxoffice import findings
from boxoffice.airtable_api import PAGE_SIZE, BudgetSpent, Client, MonthSpent, TokenRefused
from boxoffice.errors import BoxofficeError
from boxoffice.findings import Finding
from boxoffice.ops import Forgotten
from boxoffice.settings import Settings
from ingest import forgetting, landing
from ingest.landing import TIMESTAMP, Progress, SourceResult, TableResult, quiet

SOURCE = "airtable"
FILE = "airtable_sources.csv"
HOW_TO_MAP = "Add a line for each field to read, like Campaigns,campaign,Spent,spend."

OVERLAP = timedelta(minutes=10)
# What a formula, a lookup, a rollup or a count shows can change without an edit, and what is gone has none:
# only a whole reading tells. It takes as many calls as one of the ids alone would.
RECONCILE_AFTER = timedelta(days=1)
FREE_CALLS = 1_000  # a month, on the Free plan
MINUTES_A_MONTH = 30 * 24 * 60

# Per role, the columns a field can be mapped to: the header of the sheet of that kind is understood too.
COLUMNS: dict[str, dict[str, str]] = {
    role: {word: words[0] for words in columns for word in words}
    for role, columns in {
        "venue": (("venue_name", "name"), ("city",), ("region", "state"), ("country",), ("capacity",)),
        "artist": (("artist_name", "name"), ("genre",), ("country",), ("created_date", "created_at")),
        "event": (
            ("event_id",),
            ("event_name", "name"),
            ("artist_id",),
            ("venue_id",),
            ("event_date",),
            ("starts_at",),
            ("ends_at",),
            ("timezone",),
            ("status",),
            ("currency",),
            ("stated_capacity", "capacity"),
        ),
        "campaign": (
            ("event_id",),
            ("channel",),
            ("spend_amount", "spend"),
            ("impressions",),
            ("clicks",),
            ("conversions",),
            ("start_date",),
            ("end_date",),
        ),
    }.items()
}

_TEXT, _TIME, _WHOLE = pa.string(), TIMESTAMP, pa.int64()
TABLES: dict[str, pa.Schema] = {
    "records": pa.schema(
        {
            "table_id": _TEXT,
            "id": _TEXT,
            "created_at": _TIME,
            "payload": _TEXT,
            "payload_hash": _TEXT,
            "missing_since": _TIME,
            "landed_at": _TIME,
        }
    ),
    "fields": pa.schema(
        {
            "table_id": _TEXT,
            "table_name": _TEXT,
            "field_id": _TEXT,
            "field_name": _TEXT,
            "type": _TEXT,
            "options": _TEXT,
            "missing_since": _TIME,
            "landed_at": _TIME,
        }
    ),
    # Every name a table (field_id '') or a field has gone by; a mapping keeps working when one is renamed.
    "names": pa.schema({"table_id": _TEXT, "field_id": _TEXT, "name": _TEXT, "landed_at": _TIME}),
    "mappings": pa.schema(
        {
            "line": _WHOLE,
            "table_id": _TEXT,
            "role": _TEXT,
            "column_name": _TEXT,
            "field_id": _TEXT,
            "type": _TEXT,
            "timezone": _TEXT,
        }
    ),
    # How far each table was read. records: how many it then had; fewer in bronze, and the rest is void.
    "listings": pa.schema(
        {
            "table_id": _TEXT,
            "watermark": _TIME,
            "listed_at": _TIME,
            "reconciled_at": _TIME,
            "schema_hash": _TEXT,
            "records": _WHOLE,
        }
    ),
}
KEYS = {
    "records": ("table_id", "id"),
    "fields": ("table_id", "field_id"),
    "names": ("table_id", "field_id", "name"),
    "listings": ("table_id",),
}


def ensure_tables(settings: Settings) -> None:
    """Make every table of bronze_airtable that is not there yet, with all its columns."""
    landing.ensure_tables(settings, SOURCE, TABLES)


def load(
    settings: Settings,
    *,
    full: bool = False,
    progress: Progress = quiet,
    forgotten: Forgotten | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> SourceResult:
    """Read what is new in the mapped tables and land it.

    Args:
        full: read every mapped table whole.
        forgotten: who is left out, and taken out of what is there.
        sleep, clock: stand in for waiting and for the epoch's seconds.

    Returns:
        The tables, by Airtable's names for them, and what needs a look; never raises for trouble with
        Airtable.
    """
    started = time.monotonic()
    result = SourceResult(SOURCE)
    try:
        if forgotten:
            forgetting.redact(settings, forgotten)
        pipeline = landing.pipeline_for(SOURCE, settings)
        landing.finish_rows(pipeline, settings)
        ensure_tables(settings)
        _load(settings, pipeline, full, progress, forgotten, sleep, clock, result)
    except BoxofficeError as problem:
        result.status = "failed"
        result.problems.append(problem)
    result.seconds = time.monotonic() - started
    return result


def _load(
    settings: Settings,
    pipeline: dlt.Pipeline,
    full: bool,
    progress: Progress,
    forgotten: Forgotten | None,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
    result: SourceResult,
) -> None:
    if settings.airtable_token is None:
        result.status = "skipped"
        result.notes.append("Airtable is skipped: AIRTABLE_TOKEN is not set.")
        return
    path = settings.mappings_dir / FILE
    lines, result.problems = _mapped_lines(path)
    folder = settings.dlt_dir / f"{SOURCE}_pages"
    # Pages can hold people; what a killed run left of them goes first.
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        if not lines:
            _Landing(settings, folder).land(pipeline, mappings=[])
            result.status = "failed" if result.problems else "skipped"
            if not result.problems:
                result.notes.append(f"Airtable is skipped: {path} maps no field. {HOW_TO_MAP}")
            return
        client = Client(
            settings.airtable_api_url,
            settings.airtable_token,
            _base_id(settings),
            budget=settings.airtable_call_budget,
            per_second=settings.airtable_per_second,
            sleep=sleep,
            clock=clock,
            report=lambda sentence: progress(sentence, 0, None),
        )
        try:
            pull = _Pull(settings, client, folder, lines, path, result, full, progress, forgotten)
            with landing.plain_errors(settings):
                pull.read()
                pull.land(pipeline)
            result.notes.append(pull.spending())
        finally:
            client.close()
            result.failures, result.requests = client.failures, client.calls
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check(settings: Settings) -> Iterator[Finding]:
    """Ask Airtable whether the token reads the base, and hold the mapping against it. Two calls."""
    if settings.airtable_token is None:
        yield Finding(SOURCE, "off", "AIRTABLE_TOKEN is not set, so Airtable is skipped.")
        return
    path = settings.mappings_dir / FILE
    lines, problems = _mapped_lines(path)
    yield from (findings.wrong(SOURCE, problem) for problem in problems)
    if not lines:
        yield Finding(SOURCE, "off", f"{path} maps no field, so Airtable is skipped.", HOW_TO_MAP)
        return
    client = Client(settings.airtable_api_url, settings.airtable_token, _base_id(settings), attempts=2)
    try:
        tables = [_Table.of(each) for each in client.tables()]
        resolved = _resolved(lines, path, tables, _former_names(settings))
        yield from (findings.wrong(SOURCE, problem) for problem in resolved.problems)
        yield from resolved.renamed
        ids = {row["table_id"] for row in resolved.rows}
        mapped = [table for table in tables if table.table_id in ids]
        for table in mapped[:1]:
            next(client.pages(table.table_id, table.name))
        names = ", ".join(table.name for table in mapped) or "none"
        what = f"Base {settings.airtable_base_id} shows {len(tables)} tables; read are {names}."
        yield Finding(SOURCE, "ok", what)
    finally:
        client.close()


def _base_id(settings: Settings) -> str:
    if settings.airtable_base_id is None:
        raise BoxofficeError(
            "AIRTABLE_TOKEN is set, and AIRTABLE_BASE_ID is not.",
            "Set it to the id of the base to read; it starts with app and stands in the base's address.",
        )
    return settings.airtable_base_id


# --- the mapping ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """A line of airtable_sources.csv whose role and column exist. `column` is ours, whatever word it used."""

    number: int
    table: str
    role: str
    field: str
    column: str


def _mapped_lines(path: Path) -> tuple[list[_Line], list[BoxofficeError]]:
    """The lines that can be used, and what is wrong with the others. No file maps nothing."""
    lines: list[_Line] = []
    problems: list[BoxofficeError] = []
    for number, cells in _cells(path):
        missing = [name for name in ("table", "role", "field", "column") if not cells[name]]
        role, column = cells["role"].lower(), cells["column"].lower()
        found = COLUMNS.get(role, {}).get(column)
        problem = remedy = None
        if missing:
            problem, remedy = f"has no {' and no '.join(missing)}", "Fill it in, or delete the line."
        elif role not in COLUMNS:
            problem, remedy = f"has role {cells['role']!r}", f"Use one of {', '.join(COLUMNS)}."
        elif found is None:
            problem = f"has column {cells['column']!r}, which a {role} has not"
            remedy = f"Use one of {', '.join(dict.fromkeys(COLUMNS[role].values()))}."
        else:
            lines.append(_Line(number, cells["table"], role, cells["field"], found))
            continue
        problems.append(BoxofficeError(f"Line {number} of {path} {problem}.", remedy))
    return lines, problems


def _cells(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells by header, blank lines left out."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return
    except UnicodeDecodeError as error:
        raise BoxofficeError(f"{path} is no UTF-8 text.", "Save it as CSV in UTF-8.") from error
    header, *_ = text.splitlines() or [""]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    names = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in ("table", "role", "field", "column") if name not in names]
    if missing:
        raise BoxofficeError(
            f"{path} has no column {' and no column '.join(missing)}.",
            "Let its first line be table,role,field,column.",
        )
    before = reader.line_num
    try:
        for row in reader:
            number, before = before + 1, reader.line_num
            if any(cell.strip() for cell in row):
                filled = [*(cell.strip() for cell in row), *[""] * len(names)]
                yield number, dict(zip(names, filled, strict=False))
    except csv.Error as error:
        raise BoxofficeError(f"Line {before + 1} of {path} is no CSV: {error}.", "Mend the line.") from error


@dataclass
class _Table:
    """A table of the base: what it and its fields are called, now and formerly."""

    table_id: str
    name: str
    fields: list[dict[str, Any]]
    schema_hash: str

    @classmethod
    def of(cls, each: Mapping[str, Any]) -> "_Table":
        said = each.get("fields")
        fields = {
            found["id"]: {
                "id": found["id"],
                "name": _text(found.get("name")),
                "type": _text(found.get("type")),
                "options": found.get("options"),
            }
            for found in (said if isinstance(said, list) else [])
            if isinstance(found, dict) and _text(found.get("id")) and landing.is_writable(found)
        }
        return cls(
            each["id"],
            _text(each.get("name")) or each["id"],
            list(fields.values()),
            landing.payload_hash({"fields": [list(found.values()) for found in fields.values()]}),
        )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _found(word: str, named: Mapping[str, str], former: Sequence[tuple[str, str]]) -> str | None:
    """The id that a word of the mapping means: an id, else a name of today, else one of former days.

    Args:
        named: id to name. former: id and name, the latest first.
    """
    if word in named:
        return word
    plain = word.casefold()
    exact = [key for key, name in named.items() if name == word]
    close = [key for key, name in named.items() if name.strip().casefold() == plain]
    for found in (exact, close):
        if len(found) == 1:
            return found[0]
    return next((key for key, name in former if key in named and name.strip().casefold() == plain), None)


def _zone(found: Mapping[str, Any]) -> str | None:
    """The zone that a field of dates and times is shown in, as its options say; a computed one has them one
    step down."""
    options = found.get("options")
    while isinstance(options, dict):
        if "timeZone" in options:
            return str(options["timeZone"])
        result = options.get("result")
        options = result.get("options") if isinstance(result, dict) else None
    return None


_Former = tuple[list[tuple[str, str]], list[tuple[str, str]]]


def _former_names(settings: Settings) -> _Former:
    """Ids and names that tables, and that fields, have gone by; the latest first. None before a first run."""
    query = f"select table_id, field_id, name from {landing.schema_of(SOURCE)}.names order by landed_at desc"
    held: list[tuple[str, str, str]] = []
    with landing.warehouse(settings) as connection, suppress(duckdb.CatalogException):
        held = connection.execute(query).fetchall() if connection is not None else []
    tables = [(table_id, name) for table_id, field_id, name in held if not field_id]
    return tables, [(field_id, name) for _, field_id, name in held if field_id]


@dataclass
class _Resolved:
    """rows: those of `mappings`. renamed: names that are others by now, and still found."""

    rows: list[dict[str, Any]]
    problems: list[BoxofficeError]
    renamed: list[Finding]


def _resolved(
    lines: Sequence[_Line],
    path: Path,
    tables: Sequence[_Table],
    former: _Former,
) -> _Resolved:
    """What the lines mean in this base; those that name what it has not become problems."""
    found = _Resolved([], [], [])
    by_id = {table.table_id: table for table in tables}
    names = {table.table_id: table.name for table in tables}
    taken: dict[tuple[str, str, str], int] = {}
    for line in lines:
        where = f"Line {line.number} of {path}"
        table_id = _found(line.table, names, former[0])
        if table_id is None:
            problem = f"{where} names table {line.table!r}: the base has none."
            found.problems.append(BoxofficeError(problem, f"It has {', '.join(sorted(names.values()))}."))
            continue
        table = by_id[table_id]
        fields = {each["id"]: str(each.get("name")) for each in table.fields}
        field_id = _found(line.field, fields, former[1])
        if field_id is None:
            problem = f"{where} names field {line.field!r}: {table.name} has none."
            found.problems.append(BoxofficeError(problem, f"It has {', '.join(sorted(fields.values()))}."))
            continue
        key = (table_id, line.role, line.column)
        if key in taken:
            problem = f"{where} maps {line.column} of {table.name} again, after line {taken[key]}."
            found.problems.append(BoxofficeError(problem, "Keep one of the two lines."))
            continue
        taken[key] = line.number
        for word, now, same in ((line.table, table.name, table_id), (line.field, fields[field_id], field_id)):
            if word != same and word.casefold() != now.strip().casefold():
                what = f"{where}: {word!r} is called {now!r} in Airtable now, and is still read."
                remedy = f"Write {now!r}, or {same}, which never changes."
                found.renamed.append(Finding(SOURCE, "look", what, remedy))
        (field,) = (each for each in table.fields if each["id"] == field_id)
        found.rows.append(
            {
                "line": line.number,
                "table_id": table_id,
                "role": line.role,
                "column_name": line.column,
                "field_id": field_id,
                "type": field.get("type"),
                "timezone": _zone(field),
            }
        )
    return found


# --- one run -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Held:
    """One row of bronze_airtable.listings that can be believed."""

    watermark: datetime | None
    listed_at: datetime
    reconciled_at: datetime | None
    schema_hash: str | None


@dataclass
class _Read:
    """A table that was read to the end. `rows`: as they came, each record once."""

    table: _Table
    rows: pa.Table
    is_whole: bool
    asked_at: datetime | None
    rejected: int = 0
    landed: int = 0


class _Pull:
    """One run: finds what is mapped, reads those tables, then lands what is complete."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        folder: Path,
        lines: Sequence[_Line],
        path: Path,
        result: SourceResult,
        full: bool,
        progress: Progress,
        forgotten: Forgotten | None,
    ) -> None:
        self._settings, self._client, self._lines, self._path = settings, client, lines, path
        self._result, self._full, self._progress, self._forgotten = result, full, progress, forgotten
        self._landing = _Landing(settings, folder)
        self._as_of = self._landing.as_of
        self._tables: list[_Table] = []
        self._mappings: list[dict[str, Any]] = []
        self._reads: list[_Read] = []

    def read(self) -> None:
        """Reads every mapped table; problems with single ones are collected.

        Raises:
            BoxofficeError: nothing could be read.
        """
        self._tables = [_Table.of(each) for each in self._client.tables()]
        with landing.warehouse(self._settings):
            former, held = _former_names(self._settings), self._landing.listings()
        resolved = _resolved(self._lines, self._path, self._tables, former)
        self._mappings = resolved.rows
        self._result.problems += resolved.problems
        self._result.notes += [f"{each.what} {each.remedy}" for each in resolved.renamed]
        mapped = {row["table_id"] for row in self._mappings}
        # Where a budget ends too soon, the one that waited longest was first.
        long_ago = datetime(1970, 1, 1)  # noqa: DTZ001  bronze's times have no zone
        waiting = sorted(
            (table for table in self._tables if table.table_id in mapped),
            key=lambda table: held[table.table_id].listed_at if table.table_id in held else long_ago,
        )
        problems = self._result.problems
        while waiting:
            table = waiting.pop(0)
            try:
                read = self._read(table, held.get(table.table_id))
                self._reads.append(read)
                if read.rejected:
                    problems.append(
                        BoxofficeError(
                            f"Airtable sent {read.rejected} records of {table.name} without an id, or nested"
                            " too deeply to keep; they are left out.",
                            "Nothing can be done here; the others are loaded.",
                        )
                    )
            except BudgetSpent as spent:
                unread = ", ".join(each.name for each in (table, *waiting))
                problems.append(BoxofficeError(f"{spent.problem} Not read: {unread}.", spent.remedy))
                break
            except (TokenRefused, MonthSpent) as refusal:
                problems.append(refusal)
                break
            except BoxofficeError as problem:
                problems.append(problem)
        if problems:
            self._result.status = "partial" if self._reads else "failed"

    def _read(self, table: _Table, held: _Held | None) -> _Read:
        is_whole = (
            self._full
            or held is None
            or held.watermark is None
            or held.schema_hash != table.schema_hash
            or held.reconciled_at is None
            or self._as_of - held.reconciled_at >= RECONCILE_AFTER
        )
        since = None
        if not is_whole:
            assert held is not None
            assert held.watermark is not None
            since = held.watermark - OVERLAP
        pages: list[pa.Table] = []
        attempt = done = rejected = 0
        asked_at: datetime | None = None
        for page in self._client.pages(table.table_id, table.name, changed_since=since):
            if page.attempt != attempt:
                pages, attempt, done, rejected = [], page.attempt, 0, 0
            whole = [each for each in page.records if _is_record(each)]
            rejected += len(page.records) - len(whole)
            pages.append(self._rows(table.table_id, whole))
            asked_at = page.asked_at
            done += len(whole)
            self._progress(table.name, done, None)
        rows = pa.concat_tables(pages)
        # The list can move while it is read: of what came twice, the later one counts.
        last = {key: place for place, key in enumerate(rows["id"].to_pylist())}
        rows = rows.take(pa.array(sorted(last.values()), pa.int64()))
        return _Read(table, rows, is_whole, asked_at, rejected)

    def _rows(self, table_id: str, records: list[dict[str, Any]]) -> pa.Table:
        records = [_lasting(each) for each in records]
        if self._forgotten:
            records = [forgetting.blanked_record(each, self._forgotten) for each in records]
        readers: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "table_id": lambda each: table_id,
            "id": lambda each: each["id"],
            "created_at": lambda each: landing.moment_or_none(each.get("createdTime")),
        }
        return landing.as_payloads(records, readers, self._settings.as_of)

    def land(self, pipeline: dlt.Pipeline) -> None:
        """Lands what is new in the tables that are complete; then, apart, how far they reach."""
        vanished = self._landing.land(
            pipeline, mappings=self._mappings, tables=self._tables, reads=self._reads
        )
        for read in self._reads:
            self._result.tables.append(
                TableResult(read.table.name, read.rows.num_rows + read.rejected, read.landed, read.rejected)
            )
            if gone := vanished.get(read.table.table_id):
                self._result.notes.append(
                    f"{gone} records of {read.table.name} are gone from Airtable and marked as missing."
                )

    def spending(self) -> str:
        """The calls of this run, and those of a month that goes on like this."""
        minutes = self._settings.schedule_minutes
        tables = {row["table_id"] for row in self._mappings}
        held = self._landing.present()
        # Every run asks for the schema, and each table for a page of changes; once a day it is all pages.
        more_pages = sum(max(math.ceil(held.get(each, 0) / PAGE_SIZE) - 1, 0) for each in tables)
        runs = max(MINUTES_A_MONTH // minutes, 1)
        each_run, whole = 1 + len(tables), min(30, runs) * more_pages
        calls = runs * each_run + whole
        said = (
            f"{self._client.calls:,} calls to Airtable; a run every {minutes} minutes (SCHEDULE_MINUTES)"
            f" makes about {calls:,} a month."
        )
        if calls <= FREE_CALLS:
            return said
        said += f" The Free plan allows {FREE_CALLS:,}"
        if whole + each_run <= FREE_CALLS:
            enough = math.ceil(MINUTES_A_MONTH / ((FREE_CALLS - whole) // each_run))
            said += f": a run every {enough} minutes would keep to it"
        return f"{said}."


def _is_record(each: Any) -> bool:
    """It has an id, and can be kept."""
    return (
        isinstance(each, dict)
        and isinstance(each.get("id"), str)
        and bool(each["id"].strip())
        and landing.is_writable(each)
    )


def _lasting(each: dict[str, Any]) -> dict[str, Any]:
    """The record without the addresses of attachments, which are others at every reading."""
    cells = each.get("fields")
    if not isinstance(cells, dict):
        return each
    return {**each, "fields": {key: _without_addresses(cell) for key, cell in cells.items()}}


def _without_addresses(cell: Any) -> Any:
    if not isinstance(cell, list):
        return cell
    return [
        {key: value for key, value in each.items() if key not in ("url", "thumbnails")}
        if isinstance(each, dict) and "filename" in each
        else each
        for each in cell
    ]


# --- bronze --------------------------------------------------------------------------------------------


class _Landing:
    """What bronze_airtable holds, and how it comes to hold more."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._schema = landing.schema_of(SOURCE)
        self.as_of = settings.as_of.astimezone(UTC).replace(tzinfo=None)

    def _held(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with landing.warehouse(self._settings) as connection:
            assert connection is not None
            return connection.execute(query, list(parameters)).fetchall()

    def present(self) -> dict[str, int]:
        """Records by table, those that are gone left out."""
        where = "where missing_since is null group by table_id"
        return dict(self._held(f"select table_id, count(*) from {self._schema}.records {where}"))

    def listings(self) -> dict[str, _Held]:
        """How far each table was read. What speaks of more records than there are is void."""
        present = self.present()
        query = f"select {', '.join(TABLES['listings'].names)} from {self._schema}.listings"
        return {
            table_id: _Held(*rest)
            for table_id, *rest, records in self._held(query)
            if present.get(table_id, 0) >= (records or 0)
        }

    def land(
        self,
        pipeline: dlt.Pipeline,
        *,
        mappings: list[dict[str, Any]],
        tables: Sequence[_Table] = (),
        reads: Sequence[_Read] = (),
    ) -> dict[str, int]:
        """Lands what differs from what is held. Returns, by table, how many records have vanished."""
        # Held open, the warehouse is opened once for all that is looked up.
        with landing.warehouse(self._settings):
            resources = [self._mappings(mappings)]
            if tables:
                resources += [self._fields(tables), self._names(tables)]
            records, vanished = self._records(reads)
        resources = [each for each in (*resources, records) if each is not None]
        if resources:
            landing.land(pipeline, self._settings, *resources)
        with landing.warehouse(self._settings):
            listings = self._listings(reads, vanished)
        if listings is not None:
            landing.land(pipeline, self._settings, listings)
        return vanished

    def _resource(self, table: str, rows: pa.Table) -> Any:
        if rows.num_rows == 0:
            return None
        path = self._folder / f"{table}.parquet"
        pq.write_table(rows.cast(TABLES[table]), path)
        return landing.upsert(table, path, TABLES[table], rows.num_rows, KEYS[table])

    def _mappings(self, rows: list[dict[str, Any]]) -> Any:
        names = TABLES["mappings"].names
        held = self._held(f"select {', '.join(names)} from {self._schema}.mappings order by line")
        if [tuple(row[name] for name in names) for row in rows] == held:
            return None
        path = self._folder / "mappings.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=TABLES["mappings"]), path)
        return landing.snapshot("mappings", path, TABLES["mappings"], len(rows))

    def _fields(self, tables: Sequence[_Table]) -> Any:
        names = [name for name in TABLES["fields"].names if name != "landed_at"]
        query = f"select {', '.join(names)} from {self._schema}.fields"
        held = {(row[0], row[2]): dict(zip(names, row, strict=True)) for row in self._held(query)}
        now = {
            (table.table_id, each["id"]): {
                "table_id": table.table_id,
                "table_name": table.name,
                "field_id": each["id"],
                "field_name": each.get("name"),
                "type": each.get("type"),
                "options": orjson.dumps(each["options"]).decode() if each.get("options") else None,
                "missing_since": None,
            }
            for table in tables
            for each in table.fields
        }
        changed = [row for key, row in now.items() if held.get(key) != row]
        changed += [
            {**row, "missing_since": self.as_of}
            for key, row in held.items()
            if key not in now and row["missing_since"] is None
        ]
        rows = [{**row, "landed_at": self.as_of} for row in changed]
        return self._resource("fields", pa.Table.from_pylist(rows, schema=TABLES["fields"]))

    def _names(self, tables: Sequence[_Table]) -> Any:
        held = set(self._held(f"select table_id, field_id, name from {self._schema}.names"))
        now = {(table.table_id, "", table.name) for table in tables}
        for table in tables:
            now |= {(table.table_id, each["id"], str(each.get("name"))) for each in table.fields}
        rows = [
            {"table_id": table_id, "field_id": field_id, "name": name, "landed_at": self.as_of}
            for table_id, field_id, name in sorted(now - held)
        ]
        return self._resource("names", pa.Table.from_pylist(rows, schema=TABLES["names"]))

    def _records(self, reads: Sequence[_Read]) -> tuple[Any, dict[str, int]]:
        """What is new, changed or back, and what a whole reading did not find."""
        parts: list[pa.Table] = [TABLES["records"].empty_table()]
        vanished: dict[str, int] = {}
        for read in reads:
            fresh = landing.only_changed(self._settings, SOURCE, "records", KEYS["records"], read.rows)
            read.landed = fresh.num_rows
            parts.append(fresh.cast(TABLES["records"]))
            if read.is_whole:
                gone = self._gone(read)
                vanished[read.table.table_id] = gone.num_rows
                read.landed += gone.num_rows
                parts.append(gone.cast(TABLES["records"]))
        return self._resource("records", pa.concat_tables(parts)), vanished

    def _gone(self, read: _Read) -> pa.Table:
        with landing.warehouse(self._settings) as connection:
            assert connection is not None
            connection.register("found", read.rows.select(["id"]))
            return connection.execute(
                f"select * replace ($as_of::timestamp as missing_since, $as_of::timestamp as landed_at)"
                f" from {self._schema}.records as held anti join found on held.id = found.id"
                " where held.table_id = $table and held.missing_since is null",
                {"as_of": self.as_of, "table": read.table.table_id},
            ).to_arrow_table()

    def _listings(self, reads: Sequence[_Read], vanished: Mapping[str, int]) -> Any:
        """How far the tables were read. Of one where next to nothing came, that can stay as it is."""
        present, held = self.present(), self.listings()
        rows = [
            {
                "table_id": read.table.table_id,
                "watermark": read.asked_at,
                "listed_at": self.as_of,
                "reconciled_at": self.as_of if read.is_whole else held[read.table.table_id].reconciled_at,
                "schema_hash": read.table.schema_hash,
                "records": present.get(read.table.table_id, 0),
            }
            for read in reads
            if read.is_whole or read.landed or read.rows.num_rows >= PAGE_SIZE
        ]
        return self._resource("listings", pa.Table.from_pylist(rows, schema=TABLES["listings"]))
