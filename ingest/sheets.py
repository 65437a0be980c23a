"""Sheets to bronze_sheets: one table per sheet, one row per record, every cell as text.

They are CSV files, or the tabs of a Google workbook. A load of a sheet is a snapshot of its file, in one
transaction. Unchanged files are skipped. Records whose number of cells is not the header's go to `rejects`;
landed + rejected = records in the file.
"""

import codecs
import csv
import hashlib
import io
import os
import re
import shutil
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from dlt.common.normalizers.naming.snake_case import NamingConvention

from boxoffice import findings
from boxoffice.errors import BoxofficeError
from boxoffice.findings import Finding
from boxoffice.ops import Forgotten
from boxoffice.settings import Settings
from ingest import forgetting, landing
from ingest.landing import Progress, SourceResult, TableResult, quiet

if TYPE_CHECKING:
    from ingest import google

SOURCE = "sheets"

WORKBOOKS = {
    "events": {
        "artists": "artist_id,name,genre,country,created_at",
        "venues": "venue_id,name,city,state,country,capacity",
        "events": "event_id,artist_id,venue_id,event_date,status,ticket_price,currency",
        "customers": "customer_id,name,email,city,state,country,created_at",
        "tickets": "ticket_id,event_id,customer_id,purchase_datetime,channel,price_paid,currency,status",
        "checkins": "checkin_id,event_id,ticket_id,scanned_at,gate",
        "refunds": "refund_id,ticket_id,event_id,reason,refund_amount,refunded_at",
        "campaigns": "campaign_id,event_id,channel,spend,impressions,clicks,conversions,start_date,end_date",
    },
    "streaming": {
        "locations": "country_id,country_code,country_name,region_id,region_code,region_name",
        "users": "user_id,user_legacy_id,name,email,age,country_id,region_id,region_code,region_name,"
        "signup_date,acquisition_source",
        "content": "content_id,title,content_type_name,genre_name,release_year",
        "subscriptions": "subscription_id,user_legacy_id,plan_type,start_date,end_date",
        "payments": "payment_id,subscription_id,amount,currency,paid_at",
        "viewing_activity": "activity_id,user_legacy_id,content_id,device_id,watched_at,"
        "duration_watched_sec,user_rating",
    },
}
HEADERS = {sheet: header.split(",") for book in WORKBOOKS.values() for sheet, header in book.items()}

POSITION = [("_file", pa.string()), ("_record", pa.int64()), ("_line", pa.int64())]
REJECTS = pa.schema(
    {
        "sheet": pa.string(),
        "file": pa.string(),
        "record": pa.int64(),
        "line": pa.int64(),
        "reason": pa.string(),
        "raw": pa.string(),
    }
)
FILES = pa.schema(
    {
        "sheet": pa.string(),
        "file": pa.string(),
        "fingerprint": pa.string(),
        "bytes": pa.int64(),
        "records": pa.int64(),
        "landed": pa.int64(),
        "rejected": pa.int64(),
        "loaded_at": landing.TIMESTAMP,
    }
)
TABLES = {
    **{
        sheet: pa.schema(POSITION + [(name, pa.string()) for name in names])
        for sheet, names in HEADERS.items()
    },
    "files": FILES,
    "rejects": REJECTS,
}

# Part of every fingerprint: raise it when this module reads files differently, so that all are read again.
READER = 1
BLOCK = 8 << 20  # bytes parsed at a time, and so the longest record
DELIMITERS = ",;\t|"
RAW_LENGTH = 1000  # characters of a rejected record that are kept
# Added to the end of what is parsed: it comes back as a record of its own unless a quote is still open.
END = "\x01end of file\x01"


def _as_windows_does(error: UnicodeError) -> tuple[str, int]:
    """The five bytes that Windows-1252 leaves open stand for themselves, as in browsers and Excel."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("windows", _as_windows_does)


def ensure_tables(settings: Settings) -> None:
    """Make every table of bronze_sheets, with its columns, that does not exist yet."""
    landing.ensure_tables(settings, SOURCE, TABLES)


def load(
    settings: Settings,
    *,
    full: bool = False,
    progress: Progress = quiet,
    forgotten: Forgotten | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> SourceResult:
    """Land the sheets, of settings.sheets_url or else settings.sheets_dir, that changed since their last
    complete load.

    Args:
        full: land every sheet, changed or not.
        forgotten: who is left out, and taken out of what is there.
        sleep: stands in for waiting.
    """
    started = time.monotonic()
    result = SourceResult(SOURCE)
    try:
        if forgotten:
            forgetting.redact(settings, forgotten)
        ensure_tables(settings)
        _load(settings, full, progress, forgotten, result, sleep)
    except BoxofficeError as error:
        result.problems.append(error)
        result.status = "failed"
    result.seconds = time.monotonic() - started
    return result


def check(settings: Settings) -> Iterator[Finding]:
    """Look for the sheets and at their headers; their rows are not kept."""
    seen = SourceResult(SOURCE)
    sound = []
    with tempfile.TemporaryDirectory() as scratch:
        try:
            files = _in_use(settings, Path(scratch), seen)
        except BoxofficeError as error:
            yield findings.wrong(SOURCE, error)
            return
        for file in files.values():
            try:
                _header(file, _look(file.path))
                sound.append(file.name)
            except OSError as error:
                yield Finding(SOURCE, "wrong", f"{file} cannot be read: {error.strerror}.")
            except BoxofficeError as error:
                yield findings.wrong(SOURCE, error)
    yield from (findings.wrong(SOURCE, problem) for problem in seen.problems)
    if sound:
        place = settings.sheets_dir if settings.sheets_url is None else "The workbook"
        yield Finding(SOURCE, "ok", f"{place} holds {', '.join(sound)}.")
    yield from (Finding(SOURCE, "off", note) for note in seen.notes)


def _load(
    settings: Settings,
    full: bool,
    progress: Progress,
    forgotten: Forgotten | None,
    result: SourceResult,
    sleep: Callable[[float], None],
) -> None:
    scratch = settings.dlt_dir / "sheets_read"
    shutil.rmtree(scratch, ignore_errors=True)
    with landing.plain_errors(settings):
        scratch.mkdir(parents=True)
        try:
            files = _in_use(settings, scratch, result, progress, sleep)
            if not files and not result.problems:
                result.status = "skipped"
                return
            _load_files(settings, files, scratch, full, progress, forgotten, result)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    if result.problems:
        result.status = "partial" if result.tables else "failed"


def _load_files(
    settings: Settings,
    files: dict[str, "_File"],
    scratch: Path,
    full: bool,
    progress: Progress,
    forgotten: Forgotten | None,
    result: SourceResult,
) -> None:
    pipeline = landing.pipeline_for(SOURCE, settings)
    if pipeline.has_pending_data:
        # An older snapshot of the files. It is not worth finishing: what it was made from is read again.
        pipeline.drop()
        pipeline = landing.pipeline_for(SOURCE, settings)

    known = {} if full else _unchanged_since(settings)
    readings: list[_Reading] = []
    for file in files.values():
        try:
            reading = _read(file, known.get((file.sheet, file.name)), scratch, progress, forgotten)
        except BoxofficeError as error:
            result.problems.append(error)
            continue
        counts = TableResult(file.sheet, reading.records, 0, reading.rejected)
        result.tables.append(counts)
        if reading.is_new:
            counts.landed = reading.landed
            readings.append(reading)
        _note(reading, result)
    if readings:
        progress("writing the warehouse", 0, None)
        _land(pipeline, settings, readings, scratch)


def _note(reading: "_Reading", result: SourceResult) -> None:
    name = reading.file.name
    result.notes += [f"{name}: {note}" for note in reading.notes]
    if reading.rejected:
        first = ""
        if reading.rejects.num_rows:
            line, reason = (reading.rejects[name][0].as_py() for name in ("line", "reason"))
            first = f" (first: line {line}, {reason})"
        result.notes.append(
            f"{name}: {reading.rejected} of {reading.records} records were left out{first}; "
            "bronze_sheets.rejects lists them."
        )


# --- which files ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    """Where a sheet is read from.

    name: in `_file` and the ledger: of the file, or the sheet. tab: the title of the tab that `path` holds,
    None of a file; its records are the tab's rows, and their numbers what `_line` counts.
    """

    sheet: str
    path: Path
    name: str
    tab: str | None = None

    @property
    def is_tab(self) -> bool:
        return self.tab is not None

    def __str__(self) -> str:
        return f"The tab {self.tab}" if self.is_tab else str(self.path)

    def place(self, number: int) -> str:
        return f"{self}, {'row' if self.is_tab else 'line'} {number}"


def _in_use(
    settings: Settings,
    scratch: Path,
    result: SourceResult,
    progress: Progress = quiet,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, _File]:
    """Sheet to file; those of a workbook are put into the folder `scratch`."""
    if settings.sheets_url is None:
        return _files_in_use(settings, result)
    from ingest import google  # the client is a tenth of what a run imports, and few have a workbook

    book = google.Workbook(settings, scratch, HEADERS, sleep, progress)
    return _tabs_in_use(settings, book, result)


def _files_in_use(settings: Settings, result: SourceResult) -> dict[str, _File]:
    """Sheet to file, for every sheet that has exactly one. Names what is missing, twice there or unknown."""
    folder = settings.sheets_dir
    try:
        with os.scandir(folder) as entries:
            paths = sorted(
                Path(entry.path)
                for entry in entries
                if entry.name.lower().endswith(".csv")
                and not entry.name.startswith((".", "~"))
                and entry.is_file()
            )
    except OSError as error:
        raise BoxofficeError(
            f"The folder of the sheets, {folder}, cannot be read: {error.strerror}.",
            "Let SHEETS_DIR name a folder of CSV files that this user may read.",
        ) from error

    by_sheet: dict[str, list[_File]] = {}
    others = []
    for path in paths:
        sheet = path.stem.strip().lower()
        if sheet in HEADERS:
            by_sheet.setdefault(sheet, []).append(_File(sheet, path, path.name))
        else:
            others.append(path.name)
    if others:
        result.notes.append(f"Not a sheet, so not read: {', '.join(others)}.")

    def missing(sheet: str) -> BoxofficeError:
        return BoxofficeError(
            f"{sheet}.csv is missing from {folder}; rows loaded earlier stay.",
            "Put it there. If you have none, a file with only the header will do: "
            + ",".join(HEADERS[sheet]),
        )

    return _one_each(by_sheet, str(folder), missing, result)


def _tabs_in_use(settings: Settings, book: "google.Workbook", result: SourceResult) -> dict[str, _File]:
    """As `_files_in_use`, for the tabs of the workbook."""
    from ingest import google

    try:
        found = book.read()
    finally:
        result.requests, result.failures = book.requests, book.failures
    result.problems += book.problems
    by_sheet = {
        sheet: [_File(sheet, tab.path, sheet, tab.title) for tab in tabs] for sheet, tabs in found.items()
    }
    if book.others:
        result.notes.append(f"Not a sheet, so not read: {', '.join(book.others)}.")
    place = str(settings.mappings_dir / google.TABS) if book.is_shared else "the workbook"
    if not by_sheet:
        raise BoxofficeError(
            f"None of the tabs of {place} is called like a sheet.", f"Call them {', '.join(HEADERS)}."
        )

    def missing(sheet: str) -> BoxofficeError:
        if book.is_shared:
            return BoxofficeError(
                f"{place} has no line for the sheet {sheet}; rows loaded earlier stay.",
                f"Open its tab in a browser and add {sheet}, with the number after gid= in the address bar. "
                f"If you have none, a tab with only the header will do: {','.join(HEADERS[sheet])}",
            )
        return BoxofficeError(
            f"The workbook has no tab {sheet}; rows loaded earlier stay.",
            f"Add it, or call it so. If you have none, the header will do: {','.join(HEADERS[sheet])}",
        )

    return _one_each(by_sheet, place, missing, result)


def _one_each(
    by_sheet: dict[str, list[_File]],
    place: str,
    missing: Callable[[str], BoxofficeError],
    result: SourceResult,
) -> dict[str, _File]:
    """The file of each sheet that has one. What is not there, or twice, becomes a problem; a sheet with an
    empty list is among the problems already.

    Args:
        place: where they are, in words.
    """
    files: dict[str, _File] = {}
    for book, sheets in WORKBOOKS.items():
        if not any(sheet in by_sheet for sheet in sheets):
            result.notes.append(f"The {book} workbook is not in use: {place} holds none of its sheets.")
            continue
        for sheet in sheets:
            group = by_sheet.get(sheet)
            if group is None:
                result.problems.append(missing(sheet))
            elif len(group) == 1:
                files[sheet] = group[0]
            elif group:
                names = " and ".join(file.tab or file.name for file in group)
                result.problems.append(
                    BoxofficeError(
                        f"{names} are both the sheet {sheet}; neither was loaded.",
                        f"Keep one of them in {place}.",
                    )
                )
    return files


@dataclass(frozen=True)
class _Known:
    """What the ledger says of a file whose rows are all in bronze."""

    fingerprint: str
    records: int
    rejected: int


def _unchanged_since(settings: Settings) -> dict[tuple[str, str], _Known]:
    with landing.warehouse(settings) as connection:
        if connection is None:
            return {}
        rows = connection.execute(
            "select sheet, file, fingerprint, records, landed, rejected from bronze_sheets.files"
        ).fetchall()
        return {
            (sheet, file): _Known(fingerprint, records, rejected)
            for sheet, file, fingerprint, records, landed, rejected in rows
            if sheet in HEADERS and landed == _count(connection, sheet)
        }


def _count(connection: landing.duckdb.DuckDBPyConnection, sheet: str) -> int:
    row = connection.execute(f'select count(*) from bronze_sheets."{sheet}"').fetchone()
    return row[0] if row else 0


# --- reading one file ----------------------------------------------------------------------------------


@dataclass
class _Reading:
    """One file, read to its end: what the ledger says of it, and its rows as a parquet file."""

    file: _File
    fingerprint: str
    size: int
    is_new: bool = True
    parquet: Path = Path()
    schema: pa.Schema = None
    records: int = 0
    landed: int = 0
    rejected: int = 0
    rejects: pa.Table = field(default_factory=REJECTS.empty_table)
    notes: list[str] = field(default_factory=list)


def _read(
    file: _File,
    known: _Known | None,
    scratch: Path,
    progress: Progress,
    forgotten: Forgotten | None,
) -> _Reading:
    try:
        for _ in range(2):
            before = _state(file.path)
            look = _look(file.path)
            if known is not None and known.fingerprint == look.fingerprint:
                return _Reading(
                    file,
                    look.fingerprint,
                    look.size,
                    False,
                    records=known.records,
                    rejected=known.rejected,
                )
            reading = _Reading(file, look.fingerprint, look.size, parquet=scratch / f"{file.sheet}.parquet")
            _convert(reading, look, progress, forgotten)
            if before == _state(file.path):
                return reading
    except OSError as error:
        raise BoxofficeError(
            f"{file} cannot be read: {error.strerror or error}; rows loaded earlier stay.",
            "Make it readable for the user who runs this.",
        ) from error
    raise BoxofficeError(
        f"{file} changed while it was read; rows loaded earlier stay.", "Run again when it is written."
    )


def _state(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class _Look:
    """What one pass over the bytes tells."""

    fingerprint: str
    size: int
    encoding: str
    nuls: int


def _look(path: Path) -> _Look:
    digest = hashlib.blake2b(digest_size=16)
    size = nuls = 0
    encoding = "utf-8"
    is_marked = False
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            if size == 0:
                is_marked = chunk.startswith(codecs.BOM_UTF8)
                if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    encoding = "utf-16"
            digest.update(chunk)
            size += len(chunk)
            nuls += chunk.count(0)
            if encoding == "utf-8":
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    encoding = "cp1252"
    if encoding == "utf-8":
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            encoding = "cp1252"
    if encoding == "cp1252" and is_marked:
        encoding = "utf-8-sig"
    return _Look(f"{READER}-{digest.hexdigest()}", size, encoding, 0 if encoding == "utf-16" else nuls)


class _Text(io.RawIOBase):
    """A file as UTF-8 without byte order mark and NULs, and with END after its last line."""

    def __init__(self, path: Path, look: _Look, end: str = END) -> None:
        super().__init__()
        self._chunks = _chunks(path, look, end)
        self._held = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._held) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._held = self._held + chunk if self._held else chunk
        size = len(self._held) if size < 0 else size
        taken, self._held = self._held[:size], self._held[size:]
        return taken


def _chunks(path: Path, look: _Look, end: str) -> Iterator[bytes]:
    errors = "windows" if look.encoding == "cp1252" else "replace"
    decoder = codecs.getincrementaldecoder(look.encoding)(errors)
    with path.open("rb") as file:
        while chunk := file.read(BLOCK):
            if look.encoding != "utf-8":
                chunk = decoder.decode(chunk).encode()
            yield chunk.replace(b"\0", b"") if look.nuls else chunk
    yield decoder.decode(b"", final=True).encode() if look.encoding != "utf-8" else b""
    yield f"\n{end}".encode()


@dataclass(frozen=True)
class _Header:
    names: list[str]
    delimiter: str
    rows: int  # up to and including the header, blank lines counted
    line: int


def _header(file: _File, look: _Look) -> _Header:
    """Find the header and, by what it names, the delimiter.

    Raises:
        BoxofficeError: there is none, or it lacks a column or has one of them twice.
    """
    start = _Text(file.path, look, end="").read(1 << 20).decode(errors="ignore").removeprefix("\ufeff")
    expected = HEADERS[file.sheet]
    best: tuple[int, _Header] | None = None
    for delimiter in DELIMITERS:
        rows = csv.reader(io.StringIO(start, newline=""), delimiter=delimiter)
        line = 1
        try:
            for number, cells in enumerate(rows, start=1):
                # Excel may say `sep=;` on a line of its own.
                if any(cell.strip() for cell in cells) and not re.fullmatch(
                    r"sep=.?", "".join(cells).strip()
                ):
                    place = number if file.is_tab else line
                    header = _Header([_name(cell) for cell in cells], delimiter, number, place)
                    score = len(set(expected) & set(header.names))
                    if best is None or score > best[0]:
                        best = (score, header)
                    break
                line = rows.line_num + 1
        except csv.Error:
            continue
    if best is None or best[0] == 0:
        raise BoxofficeError(
            f"{file} has no header line{'' if look.size else ': it is empty'}; rows loaded earlier stay.",
            f"Its first line must be {','.join(expected)}",
        )
    header = best[1]
    missing = [name for name in expected if name not in header.names]
    if missing:
        raise BoxofficeError(
            f"{file.place(header.line)}: the header lacks the column{'s'[: len(missing) > 1]} "
            f"{', '.join(missing)}; rows loaded earlier stay.",
            "Add what is missing to the header, or correct its spelling. Other columns may stay.",
        )
    twice = [name for name in expected if header.names.count(name) > 1]
    if twice:
        raise BoxofficeError(
            f"{file.place(header.line)}: the header has {', '.join(twice)} twice; rows loaded earlier stay.",
            "Rename or remove the one that is not meant.",
        )
    return _Header(_distinct(header.names), header.delimiter, header.rows, header.line)


def _name(cell: str) -> str:
    plain = unicodedata.normalize("NFKD", cell).encode("ascii", "ignore").decode().strip().lower()
    words = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return NamingConvention().normalize_identifier(words) if words else ""


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names that differ: a nameless column is called by its place, a repeated one gets a number."""
    taken: list[str] = []
    for place, name in enumerate(names, start=1):
        plain = candidate = name or f"column_{place}"
        number = 2
        while candidate in taken or (candidate != name and candidate in names):
            candidate = f"{plain}_{number}"
            number += 1
        taken.append(candidate)
    return taken


def _convert(reading: _Reading, look: _Look, progress: Progress, forgotten: Forgotten | None) -> None:
    """Parse the file once, front to back, and write its rows as parquet.

    Raises:
        BoxofficeError: no usable header, or a quote that never closes.
    """
    file = reading.file
    if look.nuls > look.size // 4:
        raise BoxofficeError(
            f"{file} is full of NUL bytes, as UTF-16 without a mark is; rows loaded earlier stay.",
            "Save it as UTF-8.",
        )
    header = _header(file, look)
    extra = [name for name in header.names if name not in HEADERS[file.sheet]]
    if extra:
        reading.notes.append(f"columns beyond the expected ones land too: {', '.join(extra)}.")
    if look.nuls:
        reading.notes.append(f"{look.nuls} NUL bytes were taken out; the file may be damaged.")
    reading.schema = pa.schema(POSITION + [(name, pa.string()) for name in header.names])
    numbering = _Numbering(file, header, forgotten)

    def refuse(row: pyarrow.csv.InvalidRow) -> str:
        numbering.refuse(row.number, row.text, row.actual_columns)
        return "skip"

    with pyarrow.parquet.ParquetWriter(
        reading.parquet,
        reading.schema,
        compression="snappy",
        # Read once and whole. Keys are all different: stop looking for repetition in them early.
        write_statistics=False,
        dictionary_pagesize_limit=1 << 16,
    ) as writer:
        try:
            batches = pyarrow.csv.open_csv(
                pa.PythonFile(_Text(file.path, look), mode="r"),
                # One thread, so that the numbers of refused rows are known.
                pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=header.names),
                pyarrow.csv.ParseOptions(
                    delimiter=header.delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=refuse,
                ),
                pyarrow.csv.ConvertOptions(
                    check_utf8=False, column_types={name: pa.string() for name in header.names}
                ),
            )
            for batch in batches:
                rows = numbering.number(batch)
                if forgotten:
                    rows = forgetting.blanked_rows(file.sheet, rows, extra, forgotten)
                if rows.num_rows:
                    writer.write_table(rows)
                reading.landed += rows.num_rows
                progress(file.sheet, reading.landed, None)
        except pa.ArrowInvalid as error:
            raise _unreadable(file, numbering.next_line) from error
    numbering.finish()
    if not numbering.is_ended:
        raise _open_quote(file, numbering.last_line)
    reading.rejects = numbering.rejects()
    reading.rejected = reading.rejects.num_rows
    reading.records = numbering.records
    if reading.landed + reading.rejected != reading.records:
        raise AssertionError(
            f"{file.sheet}: {reading.landed} landed + {reading.rejected} rejected "
            f"are not the {reading.records} records"
        )


def _open_quote(file: _File, line: int) -> BoxofficeError:
    return BoxofficeError(
        f"{file.place(line)}: a quote opens in this record and never closes; rows loaded earlier stay.",
        'Close it, or write a quote that is meant as text twice ("").',
    )


def _unreadable(file: _File, line: int) -> BoxofficeError:
    return BoxofficeError(
        f"{file}: after line {line} a record is longer than {BLOCK >> 20} MB, most likely as a quote opens "
        "there and never closes; rows loaded earlier stay.",
        'Close it, or write a quote that is meant as text twice ("").',
    )


class _Numbering:
    """Gives every record its number and the line it starts in, though the parser skips the refused ones.

    The parser numbers rows from 1: the header and blank lines too. A line of nothing but delimiters, quotes
    and white space is blank, and no record.
    """

    def __init__(self, file: _File, header: _Header, forgotten: Forgotten | None) -> None:
        self._file = file
        self._header = header
        self._forgotten = forgotten
        self._refused: list[tuple[int, str, int]] = []  # row, text and cells of those not placed yet
        self._rejects: list[dict[str, str | int]] = []
        self._row = 1  # number of the next row
        self._others = 0  # rows that are no records
        self._record = 0  # number of the last record
        self.is_ended = False
        self.next_line = 1
        self.last_line = 1

    @property
    def records(self) -> int:
        return self._row - 1 - self._others

    def refuse(self, row: int, text: str, cells: int) -> None:
        self._refused.append((row, text, cells))

    def number(self, batch: pa.RecordBatch, is_last: bool = False) -> pa.Table:
        """The records of the batch with their position; header and blank lines are left out."""
        count = batch.num_rows
        lines = pa.repeat(pa.scalar(1, pa.int64()), count)
        if not self._file.is_tab:
            lines = pc.add(lines, _line_breaks(batch))
        is_record = self._is_record(batch)
        through = pc.cumulative_sum(lines)
        records = pc.cumulative_sum(is_record.cast(pa.int64()))

        # A refused row moves the batch's row that follows it, and all after that.
        line_gaps, record_gaps = [0] * count, [0] * count
        placed = more_lines = more_records = 0
        for row, text, cells in self._refused:
            index = row - self._row - placed
            if index >= count and not is_last:
                break
            placed += 1
            before_lines = more_lines + (through[index - 1].as_py() if index else 0)
            before_records = more_records + (records[index - 1].as_py() if index else 0)
            self.last_line = self.next_line + before_lines
            breaks = 0 if self._file.is_tab else _breaks_of(text)
            more_lines += 1 + breaks
            if index < count:
                line_gaps[index] += 1 + breaks
            if text == END:
                self.is_ended = True
            if row <= self._header.rows or text == END or self._is_blank(text):
                self._others += 1
                continue
            more_records += 1
            if index < count:
                record_gaps[index] += 1
            self._reject(self._record + before_records + 1, text, cells)
        del self._refused[:placed]

        starts = pc.add(pc.subtract(through, lines), self.next_line)
        numbers = pc.add(records, self._record)
        if placed:
            starts = pc.add(starts, pc.cumulative_sum(pa.array(line_gaps, pa.int64())))
            numbers = pc.add(numbers, pc.cumulative_sum(pa.array(record_gaps, pa.int64())))
        if count:
            self.last_line = max(self.last_line, starts[-1].as_py())
        landed = pc.sum(is_record).as_py() or 0
        self.next_line += more_lines + (pc.sum(lines).as_py() or 0)
        self._record += more_records + landed
        self._row += count + placed
        self._others += count - landed
        rows = pa.table(
            [pa.repeat(pa.scalar(self._file.name), count), numbers, starts, *batch.columns], self._names()
        )
        return rows if landed == count else rows.filter(is_record)

    def finish(self) -> None:
        """Place the refused rows after the last accepted one."""
        empty = pa.RecordBatch.from_arrays(
            [pa.array([], pa.string()) for _ in self._header.names], self._header.names
        )
        self.number(empty, is_last=True)

    def rejects(self) -> pa.Table:
        rows = [{"sheet": self._file.sheet, "file": self._file.name, **reject} for reject in self._rejects]
        return pa.Table.from_pylist(rows, REJECTS)

    def _names(self) -> list[str]:
        return [name for name, _ in POSITION] + self._header.names

    def _reject(self, record: int, text: str, cells: int) -> None:
        wanted = len(self._header.names)
        reason = f"{cells} cell{'s' if cells > 1 else ''} where the header has {wanted}"
        raw = "" if self._forgotten and self._forgotten.mentioned_in(text) else text[:RAW_LENGTH]
        self._rejects.append({"record": record, "line": self.last_line, "reason": reason, "raw": raw})

    def _is_blank(self, text: str) -> bool:
        return not text.replace(self._header.delimiter, "").replace('"', "").strip()

    def _is_record(self, batch: pa.RecordBatch) -> pa.Array:
        blank = None
        for column in batch.columns:
            empty = pc.or_(pc.equal(pc.binary_length(column), 0), pc.utf8_is_space(column))
            blank = empty if blank is None else pc.and_(blank, empty)
            if not pc.any(blank).as_py():
                break
        is_record = pc.invert(blank)
        if self._row <= self._header.rows:
            refused = sum(1 for row, _, _ in self._refused if row <= self._header.rows)
            above = min(self._header.rows + 1 - self._row - refused, batch.num_rows)
            is_record = pa.concat_arrays([pa.array([False] * above, pa.bool_()), is_record[above:]])
        return is_record


def _line_breaks(batch: pa.RecordBatch) -> pa.Array:
    """Per row, the line breaks inside its cells."""
    total = pa.repeat(pa.scalar(0, pa.int64()), batch.num_rows)
    for column in batch.columns:
        data = column.buffers()[2]
        # Most cells of most files hold none, and a search of the bytes is far cheaper than a count by row.
        held = data.to_pybytes() if data is not None else b""
        if b"\n" in held:
            total = pc.add(total, pc.count_substring(column, "\n").cast(pa.int64()))
        if b"\r" in held:
            total = pc.add(total, pc.count_substring(column, "\r").cast(pa.int64()))
            total = pc.subtract(total, pc.count_substring(column, "\r\n").cast(pa.int64()))
    return total


def _breaks_of(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


# --- landing -------------------------------------------------------------------------------------------


def _land(pipeline: Any, settings: Settings, readings: list[_Reading], scratch: Path) -> None:
    """Replace the rows of the files read, then say in the ledger what bronze now holds.

    The ledger forgets the files first: whatever stops this, they are read again.
    """
    sheets = [reading.file.sheet for reading in readings]
    placeholders = ", ".join("?" * len(sheets))
    with landing.warehouse(settings, read_only=False) as connection:
        assert connection is not None
        connection.execute(f"delete from bronze_sheets.files where sheet in ({placeholders})", sheets)
        held = connection.execute(
            f"select {', '.join(REJECTS.names)} from bronze_sheets.rejects "
            f"where sheet not in ({placeholders})",
            sheets,
        ).to_arrow_table()

    rejects = pa.concat_tables([held.cast(REJECTS), *(reading.rejects for reading in readings)])
    pyarrow.parquet.write_table(rejects, scratch / "rejects.parquet")
    landing.land(
        pipeline,
        settings,
        landing.snapshot("rejects", scratch / "rejects.parquet", REJECTS, rejects.num_rows),
        *(
            landing.snapshot(reading.file.sheet, reading.parquet, reading.schema, reading.landed)
            for reading in readings
        ),
    )

    with landing.warehouse(settings, read_only=False) as connection:
        assert connection is not None
        connection.begin()
        for reading in readings:
            if _count(connection, reading.file.sheet) != reading.landed:
                raise AssertionError(
                    f"{reading.file.sheet} does not hold the {reading.landed} rows that were landed"
                )
            connection.execute(
                "insert into bronze_sheets.files "
                "(sheet, file, fingerprint, bytes, records, landed, rejected, loaded_at) "
                "values (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    reading.file.sheet,
                    reading.file.name,
                    reading.fingerprint,
                    reading.size,
                    reading.records,
                    reading.landed,
                    reading.rejected,
                    landing.utc_timestamp(settings.as_of),
                ],
            )
        connection.commit()
