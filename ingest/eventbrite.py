"""Eventbrite API to bronze_eventbrite: one row per object, merged on its id, whole in `payload`.

orders and attendees are listed by organization and by what changed since the last complete listing;
everything else is listed whole. Every distinct version of an order or an attendee is also kept, in
`orders_history` and `attendees_history`, because Eventbrite lowers the costs of an order when it refunds.
A listing lands when it is complete, or not at all.
"""

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dlt
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from boxoffice import findings
from boxoffice.errors import BoxofficeError
from boxoffice.eventbrite_api import PAGE_SIZE, Client, Stopped, TokenRefused, Unavailable, Withheld
from boxoffice.findings import Finding
from boxoffice.ops import Forgotten
from boxoffice.settings import Settings
from ingest import forgetting, landing
from ingest.landing import TIMESTAMP, Progress, SourceResult, TableResult, quiet

SOURCE = "eventbrite"

# What Eventbrite shows can be five minutes old; twice that is read again.
OVERLAP = timedelta(minutes=10)
# Rows that vanish leave no trace in `changed`: only a whole listing tells.
RECONCILE_AFTER = timedelta(days=7)
# Questions and discounts have no `changed`. Those of upcoming events are read again this often.
DETAILS_AFTER = timedelta(days=1)

THREADS = 6
ROWS_AT_ONCE = 500
# Seconds that `doctor` waits when Eventbrite asks it to.
LONGEST_CHECK = 60.0
NAMED_FAILURES = 3

KEYS: dict[str, tuple[str, ...]] = {
    "organizations": ("id",),
    "events": ("id",),
    "venues": ("id",),
    "ticket_classes": ("id",),
    "orders": ("id",),
    "attendees": ("id",),
    "questions": ("event_id", "id"),
    "discounts": ("id",),
}
COLUMNS: dict[str, tuple[str, ...]] = {
    "organizations": ("id",),
    "events": ("id", "organization_id", "venue_id", "series_id", "changed"),
    "venues": ("id", "organization_id"),
    "ticket_classes": ("id", "event_id", "organization_id"),
    "orders": ("id", "event_id", "organization_id", "changed"),
    "attendees": ("id", "order_id", "event_id", "organization_id", "changed"),
    "questions": ("event_id", "id", "organization_id"),
    "discounts": ("id", "event_id", "organization_id"),
}
VERSIONED = ("orders", "attendees")
EXPANSIONS = {"events": "ticket_classes", "orders": "refund_requests", "attendees": "promotional_code"}
DETAILS = ("questions", "discounts")


def _schema(*columns: str) -> pa.Schema:
    times = ("changed", "missing_since", "landed_at", "watermark", "listed_at", "reconciled_at")
    return pa.schema([(name, TIMESTAMP if name in times else pa.string()) for name in columns])


TABLES: dict[str, pa.Schema] = {
    **{
        name: _schema(*columns, "payload", "payload_hash", "missing_since", "landed_at")
        for name, columns in COLUMNS.items()
    },
    **{
        f"{name}_history": _schema("id", "changed", "payload_hash", "payload", "landed_at")
        for name in VERSIONED
    },
    "listings": _schema("organization_id", "listing", "watermark", "listed_at", "reconciled_at"),
}


def ensure_tables(settings: Settings) -> None:
    """Make every table of bronze_eventbrite that is not there yet, with all its columns."""
    landing.ensure_tables(settings, SOURCE, TABLES)


def load(
    settings: Settings,
    *,
    full: bool = False,
    progress: Progress = quiet,
    forgotten: Forgotten | None = None,
    sleep: Callable[[float], None] | None = None,
    clock: Callable[[], float] = time.time,
) -> SourceResult:
    """Read what is new and land it.

    Args:
        full: list orders and attendees whole, and mark those that are gone.
        progress: told what is read; from several threads, one at a time.
        forgotten: who is left out, and taken out of what is there.
        sleep, clock: stand in for waiting and for the epoch's seconds.

    Returns:
        The tables and what needs a look; never raises for trouble with Eventbrite.
    """
    started = time.monotonic()
    result = SourceResult(SOURCE)
    try:
        if forgotten:
            forgetting.redact(settings, forgotten)
        pipeline = landing.pipeline_for(SOURCE, settings)
        landing.finish_rows(pipeline, settings)
        ensure_tables(settings)
    except BoxofficeError as problem:
        result.status, result.problems = "failed", [problem]
        return result
    if settings.eventbrite_token is None:
        result.status = "skipped"
        result.notes.append("Eventbrite is skipped: EVENTBRITE_TOKEN is not set.")
        return result

    # Pages hold people; what a killed run left of them goes first.
    folder = settings.dlt_dir / f"{SOURCE}_pages"
    shutil.rmtree(folder, ignore_errors=True)
    # Arrow's own allocator keeps what every thread once used.
    pa.set_memory_pool(pa.system_memory_pool())
    told = _Told(progress)
    client = Client(
        settings.eventbrite_api_url,
        settings.eventbrite_token,
        sleep=sleep,
        clock=clock,
        report=told.wait,
    )
    try:
        folder.mkdir(parents=True)
        with landing.plain_errors(settings):
            pull = _Pull(settings, client, folder, told, full=full, forgotten=forgotten)
            pull.read()
            result.tables = pull.land(pipeline)
        result.problems = pull.problems
        result.status = pull.status
        result.notes = pull.notes()
    except BoxofficeError as problem:
        result.status, result.problems = "failed", [problem]
    finally:
        client.close()
        shutil.rmtree(folder, ignore_errors=True)
    result.notes += told.waits
    result.notes.append(_spending(client))
    result.failures = client.failures
    result.requests = client.budget.requests
    result.seconds = time.monotonic() - started
    return result


@dataclass(frozen=True)
class Single:
    """An object that was fetched by itself, in the form that its listing shows it in.

    parents: ids that whoever fetched it knows better than the object. is_lean: without its expansion.
    """

    table: str
    item: Mapping[str, Any]
    parents: Mapping[str, str]
    is_lean: bool = False


def merge(
    settings: Settings, objects: Iterable[Single], *, forgotten: Forgotten | None = None
) -> tuple[list[TableResult], set[str]]:
    """Land single objects by the rules of a load. How far listings reach stays: the next load reads the same.

    Returns:
        A result for each table that was given an object, and the names of those that changed, histories too.

    Raises:
        BoxofficeError: the warehouse or the disk refuses.
    """
    pipeline = landing.pipeline_for(SOURCE, settings)
    landing.finish_rows(pipeline, settings)
    ensure_tables(settings)
    folder = settings.dlt_dir / f"{SOURCE}_singles"
    # They tell of people; what a killed run left of them goes first.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    as_of = settings.as_of.astimezone(UTC).replace(tzinfo=None)
    numbers = itertools.count()
    stages: dict[str, _Stage] = {}
    results, written = [], dict[str, int]()
    try:
        for each in objects:
            path = folder / f"{each.table}.stage.parquet"
            stage = stages.setdefault(each.table, _Stage(path, each.table, as_of, numbers, forgotten))
            stage.add([each.item], is_lean=each.is_lean, **each.parents)
        with landing.plain_errors(settings):
            with landing.warehouse(settings) as connection:
                assert connection is not None
                connection.execute("set threads = 1")
                for table, stage in stages.items():
                    stage.close()
                    compared = _Compared(connection, folder, table, [stage], as_of)
                    written |= compared.write()
                    came = compared.came() + stage.rejected
                    results.append(TableResult(table, came, written[table], stage.rejected))
            _land_rows(pipeline, settings, folder, written)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return results, {table for table, rows in written.items() if rows}


def check(settings: Settings) -> Iterator[Finding]:
    """Ask Eventbrite whether the token works, for which organizations, and what it may list there."""
    if settings.eventbrite_token is None:
        yield Finding(SOURCE, "off", "EVENTBRITE_TOKEN is not set, so Eventbrite is skipped.")
        return

    def refuse_to_wait(seconds: float) -> None:
        if seconds > LONGEST_CHECK:
            raise Unavailable(
                f"Eventbrite takes no more calls for {seconds / 60:.0f} minutes: the hourly budget is spent.",
                "Ask again then; a run waits by itself.",
            )
        time.sleep(seconds)

    client = Client(settings.eventbrite_api_url, settings.eventbrite_token, sleep=refuse_to_wait, attempts=2)
    try:
        seen, chosen = _organizations(client, settings)
        for key in chosen:
            counts = []
            for listing in ("events", "orders", "attendees"):
                try:
                    which = {"status": "all"} if listing == "events" else {}
                    page = next(client.pages(_path("organizations", key, listing), listing, **which))
                except Withheld as problem:
                    yield findings.wrong(SOURCE, problem)
                else:
                    counts.append(listing if page.total is None else f"{page.total:,} {listing}")
            if counts:
                name = seen[key].get("name") or "no name"
                yield Finding(SOURCE, "ok", f"Organization {key} ({name}) shows {', '.join(counts)}.")
    finally:
        client.close()


def _organizations(client: Client, settings: Settings) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """What the token sees, by id, and the ids of those that are to be read.

    Raises:
        BoxofficeError: it sees none, or not the one that was chosen.
    """
    seen: dict[str, dict[str, Any]] = {}
    try:
        for page in client.pages("users/me/organizations/", "organizations"):
            seen.update((key, each) for each in page.items if (key := _id(each)) is not None)
    except Withheld as problem:
        refused = Withheld(
            f"EVENTBRITE_TOKEN may not list its organizations. {problem.problem}",
            "Use the private token of an API key, not its public one, and check EVENTBRITE_API_URL.",
        )
        refused.call = problem.call
        raise refused from None
    chosen = settings.eventbrite_organization_id
    if not seen:
        raise BoxofficeError(
            "EVENTBRITE_TOKEN sees no organization.", "Use a token of somebody who belongs to one."
        )
    if chosen is not None and chosen not in seen:
        names = ", ".join(f"{key} ({each.get('name') or 'no name'})" for key, each in seen.items())
        raise BoxofficeError(
            f"EVENTBRITE_ORGANIZATION_ID is {chosen}, which EVENTBRITE_TOKEN does not see.",
            f"Use one of those it sees, or leave it out: {names}.",
        )
    return seen, [key for key in seen if chosen in (None, key)]


def _spending(client: Client) -> str:
    left = client.budget.left
    spent = f"{client.budget.requests} requests to Eventbrite"
    return f"{spent}." if left is None else f"{spent}; {left} left in this hour's budget."


class _Told:
    """Passes progress on, one caller at a time, and remembers the long waits."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self.waits: list[str] = []

    def __call__(self, what: str, done: int, total: int | None) -> None:
        with self._lock:
            self._progress(what, done, total)

    def wait(self, sentence: str) -> None:
        with self._lock:
            self.waits.append(sentence)
            self._progress(sentence, 0, None)


class _Stage:
    """The objects of one listing on their way to a table, in a Parquet file: bronze's columns, then

    seq (bigint): the order in which they came, over all listings.
    is_lean (boolean): read without the expansion.
    """

    def __init__(
        self,
        path: Path,
        table: str,
        landed_at: datetime,
        numbers: Iterator[int],
        forgotten: Forgotten | None = None,
    ) -> None:
        self.path, self.table = path, table
        self.read = self.rejected = 0
        self.is_lean = False
        self._landed_at, self._numbers = landed_at, numbers
        self._forgotten = forgotten
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, objects: Iterable[Any], *, is_lean: bool = False, **parents: str) -> list[dict[str, Any]]:
        """Adds the objects that have an id, and returns them as they came.

        Args:
            parents: ids that the listing knows better than the object.
        """
        received = list(objects)
        whole = [each for each in received if _id(each) is not None and landing.is_writable(each)]
        self.rejected += len(received) - len(whole)
        self.is_lean |= is_lean
        if whole:
            readers = {name: _reader(name, parents.get(name)) for name in COLUMNS[self.table]}
            kept = whole
            if self._forgotten:
                kept = [forgetting.blanked(self.table, each, self._forgotten) for each in whole]
            page = landing.as_payloads(kept, readers, self._landed_at)
            numbers = list(itertools.islice(self._numbers, len(whole)))
            page = page.append_column("seq", pa.array(numbers, pa.int64()))
            page = page.append_column("is_lean", pa.array([is_lean] * len(whole), pa.bool_()))
            self._waiting.append(page)
            self._rows += len(whole)
            self.read += len(whole)
            if self._rows >= ROWS_AT_ONCE:
                self._write()
        return whole

    def close(self) -> None:
        self._write()
        if self._writer is not None:
            self._writer.close()

    def _write(self) -> None:
        if not self._waiting:
            return
        rows = pa.concat_tables(self._waiting)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, rows.schema)
        self._writer.write_table(rows)
        self._waiting, self._rows = [], 0


@dataclass
class _Outcome:
    """What came of one listing of one organization, or of one kind of detail of several of its events."""

    name: str
    organization_id: str
    stages: list[_Stage]
    is_complete: bool = False
    is_whole: bool = True  # False: only what changed since the watermark was asked for
    problems: list[BoxofficeError] = field(default_factory=list)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)  # of an events listing
    unexpanded: set[str] = field(default_factory=set)  # its events that came without their ticket classes
    asked: set[str] = field(default_factory=set)  # events whose details are to be read,
    done: set[str] = field(default_factory=set)  # and those whose details were
    asked_at: datetime | None = None  # Eventbrite's clock at its first answer

    @property
    def is_lean(self) -> bool:
        return any(stage.is_lean for stage in self.stages)


@dataclass(frozen=True)
class _Held:
    """One row of bronze_eventbrite.listings."""

    watermark: datetime | None
    listed_at: datetime | None
    reconciled_at: datetime | None


class _Pull:
    """One run: reads every listing into stages, then lands what is complete."""

    def __init__(
        self,
        settings: Settings,
        client: Client,
        folder: Path,
        told: _Told,
        *,
        full: bool,
        forgotten: Forgotten | None,
    ) -> None:
        self._forgotten = forgotten
        self._settings, self._client, self._folder, self._told, self._full = (
            settings,
            client,
            folder,
            told,
            full,
        )
        self._as_of = settings.as_of.astimezone(UTC).replace(tzinfo=None)
        self._numbers = itertools.count()
        self._held = _held_listings(settings)
        self._outcomes: list[_Outcome] = []
        self._organizations: list[str] = []
        self._due: dict[str, dict[str, datetime | None]] = {}
        self._vanished: dict[str, int] = {}
        self.problems: list[BoxofficeError] = []
        self.status = "ok"

    # -- reading

    def read(self) -> None:
        """Reads every listing; problems are collected.

        Raises:
            BoxofficeError: nothing could be read.
        """
        own = self._read_organizations()
        tasks: list[tuple[Callable[..., _Outcome], str]] = [
            (task, organization_id)
            # The longest first.
            for task in (self._read_attendees, self._read_orders, self._read_events, self._read_venues)
            for organization_id in self._organizations
        ]
        with ThreadPoolExecutor(THREADS, thread_name_prefix=SOURCE) as pool:
            try:
                running: set[Future[_Outcome]] = {pool.submit(task, of) for task, of in tasks}
                while running:
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        outcome = future.result()
                        self._outcomes.append(outcome)
                        if outcome.name == "events" and outcome.is_complete:
                            running |= {
                                pool.submit(self._read_details, kind, outcome.organization_id, events)
                                for kind, events in self._details_due(outcome).items()
                            }
            except BaseException:
                self._client.stop()
                pool.shutdown(cancel_futures=True)
                raise
        self._outcomes.append(own)
        self.problems = _distinct(problem for outcome in self._outcomes for problem in outcome.problems)
        lists = [outcome for outcome in self._outcomes if outcome.name in _LISTINGS]
        if any(isinstance(problem, TokenRefused) for problem in self.problems) or not any(
            outcome.is_complete for outcome in lists
        ):
            self.status = "failed"
        elif self.problems:
            self.status = "partial"

    def _read_organizations(self) -> _Outcome:
        outcome = self._outcome("organizations", "", "organizations")
        seen, self._organizations = _organizations(self._client, self._settings)
        outcome.stages[0].add(seen[key] for key in self._organizations)
        outcome.stages[0].close()
        outcome.is_complete = True
        # Organizations that were not chosen are still there.
        outcome.done = set(seen)
        return outcome

    def _read_events(self, organization_id: str) -> _Outcome:
        outcome = self._outcome("events", organization_id, "events", "ticket_classes")
        events, classes = outcome.stages

        def take(items: list[Any]) -> None:
            expanded = {
                id(event): event.pop("ticket_classes", None) for event in items if isinstance(event, dict)
            }
            for event in events.add(items, organization_id=organization_id):
                event_id, own = str(event["id"]), expanded[id(event)]
                outcome.events[event_id] = event
                # An expansion that Eventbrite does not know is left out without a word.
                if isinstance(own, list):
                    classes.add(own, event_id=event_id, organization_id=organization_id)
                else:
                    outcome.unexpanded.add(event_id)

        path = _path("organizations", organization_id, "events")
        return self._listed(outcome, path, take, status="all", page_size=PAGE_SIZE)

    def _read_venues(self, organization_id: str) -> _Outcome:
        outcome = self._outcome("venues", organization_id, "venues")
        return self._listed(outcome, _path("organizations", organization_id, "venues"))

    def _read_orders(self, organization_id: str) -> _Outcome:
        return self._read_changes("orders", organization_id)

    def _read_attendees(self, organization_id: str) -> _Outcome:
        return self._read_changes("attendees", organization_id)

    def _read_changes(self, name: str, organization_id: str) -> _Outcome:
        """What changed since the watermark; everything when there is none or a reconcile is due."""
        outcome = self._outcome(name, organization_id, name)
        held = self._held.get((organization_id, name))
        since = None
        if (
            held
            and held.watermark
            and not self._full
            and not self._is_older(held.reconciled_at, RECONCILE_AFTER)
        ):
            since = f"{held.watermark - OVERLAP:%Y-%m-%dT%H:%M:%SZ}"
        outcome.is_whole = since is None
        return self._listed(outcome, _path("organizations", organization_id, name), changed_since=since)

    def _read_details(self, kind: str, organization_id: str, event_ids: list[str]) -> _Outcome:
        """Questions, discounts or ticket classes, event by event: they have no listing across events."""
        outcome = self._outcome(kind, organization_id, kind)
        outcome.asked = set(event_ids)
        failures: dict[str, BoxofficeError] = {}
        for number, event_id in enumerate(event_ids, 1):
            try:
                # All pages first: of one event either all lands or nothing.
                for page in list(self._detail_pages(kind, organization_id, event_id)):
                    outcome.stages[0].add(page, event_id=event_id, organization_id=organization_id)
                outcome.done.add(event_id)
            except (TokenRefused, Unavailable) as problem:
                outcome.problems.append(problem)
                break
            except BoxofficeError as problem:
                failures[event_id] = problem
            except Stopped:
                break
            self._told(f"{kind} of events", number, len(event_ids))
        outcome.problems += _summed_up(kind, failures)
        outcome.stages[0].close()
        # What was read of one event stands, whatever became of the others.
        outcome.is_complete = True
        return outcome

    def _detail_pages(self, kind: str, organization_id: str, event_id: str) -> Iterator[list[Any]]:
        path, params = _path("events", event_id, kind), dict[str, Any]()
        if kind == "discounts":
            path = _path("organizations", organization_id, kind)
            params = {"scope": "event", "event_id": event_id, "page_size": PAGE_SIZE}
        if kind == "ticket_classes":
            params = {"category": "all"}
        for page in self._client.pages(path, kind, **params):
            yield page.items

    def _details_due(self, listed: _Outcome) -> dict[str, list[str]]:
        """Which events' details to read: of those new, changed, or upcoming and not read for a day."""
        due: dict[str, datetime | None] = {}
        for event_id, event in listed.events.items():
            changed = _changed(event)
            held = self._held.get((listed.organization_id, f"event/{event_id}"))
            end = event.get("end")
            ends = landing.moment_or_none(end.get("utc")) if isinstance(end, dict) else None
            is_upcoming = ends is None or ends >= self._as_of
            if (
                held is None
                or held.watermark != changed
                or (is_upcoming and self._is_older(held.listed_at, DETAILS_AFTER))
            ):
                due[event_id] = changed
        if not due:
            return {}
        self._due[listed.organization_id] = due
        kinds = {kind: list(due) for kind in DETAILS}
        unexpanded = [event_id for event_id in due if event_id in listed.unexpanded]
        return {**kinds, "ticket_classes": unexpanded} if unexpanded else kinds

    def _is_older(self, moment: datetime | None, age: timedelta) -> bool:
        return moment is None or self._as_of - moment >= age

    def _outcome(self, name: str, organization_id: str, *tables: str) -> _Outcome:
        return _Outcome(name, organization_id, [self._stage(table) for table in tables])

    def _stage(self, table: str) -> _Stage:
        path = self._folder / f"{table}.{next(self._numbers)}.parquet"
        return _Stage(path, table, self._as_of, self._numbers, self._forgotten)

    def _listed(
        self,
        outcome: _Outcome,
        path: str,
        take: Callable[[list[Any]], None] | None = None,
        **params: Any,
    ) -> _Outcome:
        """Reads a listing into the outcome's stages; trouble with it is the outcome's problem."""
        name, own = outcome.name, {"organization_id": outcome.organization_id}
        try:
            done = attempt = 0
            for page in self._client.pages(path, name, expand=EXPANSIONS.get(name), **params):
                outcome.asked_at = outcome.asked_at or page.asked_at
                if page.attempt != attempt:
                    attempt = page.attempt
                    for stage in outcome.stages:
                        stage.rejected = 0
                if take is not None:
                    take(page.items)
                else:
                    outcome.stages[0].add(page.items, is_lean=not page.is_expanded, **own)
                done += len(page.items)
                self._told(name, done, page.total)
            outcome.is_complete = True
        except TokenRefused as problem:
            # Every other listing would be refused as well.
            self._client.stop()
            outcome.problems.append(problem)
        except BoxofficeError as problem:
            outcome.problems.append(problem)
        except Stopped:
            pass
        finally:
            for stage in outcome.stages:
                stage.close()
        return outcome

    # -- landing

    def land(self, pipeline: dlt.Pipeline) -> list[TableResult]:
        """Lands what is new in the listings that are complete; then, apart, how far they reach."""
        results, new, seen = [], {}, {}
        complete = [outcome for outcome in self._outcomes if outcome.is_complete]
        with landing.warehouse(self._settings) as connection:
            assert connection is not None
            # Payloads are wide: more threads only hold more of them at once.
            connection.execute("set threads = 1")
            for table in COLUMNS:
                stages = [stage for each in complete for stage in each.stages if stage.table == table]
                compared = _Compared(connection, self._folder, table, stages, self._as_of)
                if self.status != "failed":
                    self._vanished[table] = compared.judge(*self._judged(table, complete))
                counted = compared.write()
                new.update(counted)
                if table in VERSIONED:
                    until = {
                        each.organization_id: self._until(each) for each in complete if each.name == table
                    }
                    seen[table] = compared.latest_changes(until)
                rejected = sum(stage.rejected for stage in stages)
                results.append(TableResult(table, compared.came() + rejected, counted[table], rejected))
        _land_rows(pipeline, self._settings, self._folder, new)
        reached = self._reached(complete, seen)
        if reached:
            rows = pa.Table.from_pylist(reached, schema=TABLES["listings"])
            path = self._folder / "listings.parquet"
            pq.write_table(rows, path)
            keys = ("organization_id", "listing")
            listings = landing.upsert("listings", path, TABLES["listings"], rows.num_rows, keys)
            landing.land(pipeline, self._settings, listings)
        self._name_rejected(results)
        return results

    def _judged(self, table: str, complete: list[_Outcome]) -> tuple[str, set[str], str, set[str]]:
        """Of which held rows the run can tell that they are gone.

        Returns:
            A column and its values that were listed whole; a column and values to spare all the same.
        """
        if table == "organizations":
            (own,) = (outcome for outcome in complete if outcome.name == "organizations")
            return "'all'", {"all"}, "id", own.done
        if table in DETAILS:
            return (
                "event_id",
                {key for each in complete if each.name == table for key in each.done},
                "id",
                set(),
            )
        name = "events" if table == "ticket_classes" else table
        listed = [each for each in complete if each.name == name and each.is_whole and not each.is_lean]
        whole = {each.organization_id for each in listed}
        if table != "ticket_classes":
            return "organization_id", whole, "id", set()
        unread = {key for each in listed for key in each.unexpanded}
        unread -= {key for each in complete if each.name == "ticket_classes" for key in each.done}
        return "organization_id", whole, "event_id", unread

    def _reached(
        self, complete: list[_Outcome], seen: Mapping[str, Mapping[str, datetime | None]]
    ) -> list[dict[str, Any]]:
        """The rows of `listings` that differ from those held."""
        rows: list[dict[str, Any]] = []
        for outcome in complete:
            if outcome.name not in VERSIONED or outcome.is_lean:
                continue
            key = (outcome.organization_id, outcome.name)
            held = self._held.get(key)
            changes = [seen[outcome.name].get(outcome.organization_id), held.watermark if held else None]
            until = self._until(outcome)
            watermark = max((each for each in changes if each is not None and each <= until), default=None)
            is_due = self._full or held is None or self._is_older(held.reconciled_at, RECONCILE_AFTER)
            if held is None or is_due or watermark != held.watermark:
                reconciled = self._as_of if outcome.is_whole or held is None else held.reconciled_at
                rows.append(self._listing(key, watermark, reconciled))
        for organization_id, due in self._due.items():
            unread: set[str] = set()
            for outcome in self._outcomes:
                if outcome.organization_id == organization_id:
                    unread |= outcome.asked - outcome.done
            rows += [
                self._listing((organization_id, f"event/{event_id}"), changed, None)
                for event_id, changed in due.items()
                if event_id not in unread
            ]
        return rows

    def _until(self, outcome: _Outcome) -> datetime:
        """What changed later than this cannot have been listed, whatever `changed` says."""
        return outcome.asked_at or self._as_of

    def _listing(
        self, key: tuple[str, str], watermark: datetime | None, reconciled_at: datetime | None
    ) -> dict[str, Any]:
        return {
            "organization_id": key[0],
            "listing": key[1],
            "watermark": watermark,
            "listed_at": self._as_of,
            "reconciled_at": reconciled_at,
        }

    def _name_rejected(self, results: list[TableResult]) -> None:
        for result in results:
            if result.rejected:
                self.problems.append(
                    BoxofficeError(
                        f"Eventbrite sent {result.rejected} {result.table} without an id, or nested too"
                        " deeply to keep; they are left out.",
                        "Nothing can be done here; the others are loaded.",
                    )
                )
                self.status = "partial" if self.status == "ok" else self.status

    def notes(self) -> list[str]:
        return [
            f"{count} {table.replace('_', ' ')} are gone from Eventbrite and marked as missing."
            for table, count in self._vanished.items()
            if count
        ]


_LISTINGS = ("events", "venues", "orders", "attendees")


class _Compared:
    """One table's stages against what bronze holds of it."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        folder: Path,
        table: str,
        stages: list[_Stage],
        as_of: datetime,
    ) -> None:
        self._connection, self._folder, self._table, self._as_of = connection, folder, table, as_of
        self._held = f"{landing.schema_of(SOURCE)}.{table}"
        self._same = " and ".join(f"held.{key} = latest.{key}" for key in KEYS[table])
        self._has_changed = "changed" in COLUMNS[table]
        changed = "changed" if self._has_changed else "null::timestamp"
        keys = ", ".join(KEYS[table])
        paths = [str(stage.path) for stage in stages if stage.read]
        if paths:
            listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
            stage = f"select * from read_parquet([{listed}])"
        else:
            stage = f"select *, 0::bigint as seq, false as is_lean from {self._held} limit 0"
        ((held_rows,),) = connection.execute(f"select count(*) from {self._held}").fetchall()
        rows = held_rows + sum(stage.read for stage in stages)
        connection.execute(f"set memory_limit = '{landing.memory_for(rows)}'")
        connection.execute(f"create or replace temp view stage as {stage}")
        # Of the versions that came of one row, the one that changed last; of those, the one that came last.
        connection.execute(
            f"""
            create or replace temp table latest as
            select {keys}, changed, payload_hash, is_lean, seq
            from (
                select
                    {keys}, {changed} as changed, payload_hash, is_lean, seq,
                    row_number() over (
                        partition by {keys} order by {changed} desc nulls last, seq desc
                    ) as place
                from stage
            )
            where place = 1
            """
        )
        # A stale answer never overwrites; one without its expansion only what is certainly older.
        is_newer = (
            "(latest.changed > held.changed or (latest.changed = held.changed and not latest.is_lean))"
            if self._has_changed
            else "true"
        )
        connection.execute(
            f"""
            create or replace temp table fresh as
            select latest.* from latest
            left join {self._held} as held on {self._same}
            where held.id is null
                or (
                    held.payload_hash is distinct from latest.payload_hash
                    and coalesce({is_newer}, true)
                )
            """
        )
        connection.execute("create or replace temp table gone (id varchar, event_id varchar)")

    def judge(self, column: str, values: set[str], spare_column: str, spared: set[str]) -> int:
        """Finds the held rows of a whole listing that did not come. Returns how many."""
        if not values:
            return 0
        event_id = "held.event_id" if "event_id" in COLUMNS[self._table] else "null"
        self._connection.execute(
            f"""
            insert into gone
            select held.id, {event_id} from {self._held} as held
            anti join latest on {self._same}
            where held.missing_since is null
                and {column} in (select unnest($values::varchar[]))
                and {spare_column} not in (select unnest($spared::varchar[]))
            """,
            {"values": sorted(values), "spared": sorted(spared)},
        )
        return int(self._connection.execute("select count(*) from gone").fetchall()[0][0])

    def write(self) -> dict[str, int]:
        """Writes the rows to land to `<table>.parquet`, versions not yet kept to `<table>_history.parquet`.

        Returns:
            Rows by table.
        """
        as_of = f"'{self._as_of.isoformat()}'::timestamp"
        columns = ", ".join(TABLES[self._table].names)
        returned, gone = (
            f"held.* replace ({moment} as missing_since, {as_of} as landed_at)"
            for moment in ("null::timestamp", as_of)
        )
        came_back = "held.missing_since is not null"
        written = self._copy(
            self._table,
            f"""
            select {columns} from stage semi join fresh using (seq)
            union all
            select {columns} from (
                select {returned} from {self._held} as held
                semi join latest on {self._same}
                anti join fresh as latest on {self._same}
                where {came_back}
            )
            union all
            select {columns} from (
                select {gone} from {self._held} as held
                semi join gone as latest on {self._same}
            )
            """,
        )
        if self._table not in VERSIONED:
            return {self._table: written}
        history = f"{self._table}_history"
        kept = f"{landing.schema_of(SOURCE)}.{history}"
        columns = ", ".join(TABLES[history].names)
        self._connection.execute(
            f"""
            create or replace temp table version as
            select id, payload_hash, min(seq) as seq from stage
            anti join {kept} as kept using (id, payload_hash)
            where not is_lean or seq in (select seq from fresh)
            group by id, payload_hash
            """
        )
        # The version about to be replaced is kept already, unless a run was killed between the two tables.
        versions = self._copy(
            history,
            f"""
            select {columns} from stage semi join version using (seq)
            union all
            select {columns} from {self._held} as held
            semi join fresh as latest on {self._same}
            anti join version using (id, payload_hash)
            anti join {kept} as kept using (id, payload_hash)
            """,
        )
        return {self._table: written, history: versions}

    def came(self) -> int:
        """How many came, each counted once however often it came."""
        return int(self._connection.execute("select count(*) from latest").fetchall()[0][0])

    def latest_changes(self, until: Mapping[str, datetime]) -> dict[str, datetime | None]:
        """By organization, the latest `changed` that came and is not later than `until`."""
        query = "select max(changed) from stage where organization_id = ? and changed <= ?"
        return {
            organization_id: self._connection.execute(query, [organization_id, moment]).fetchall()[0][0]
            for organization_id, moment in until.items()
        }

    def _copy(self, table: str, query: str) -> int:
        path = str(self._folder / f"{table}.parquet").replace("'", "''")
        statement = f"copy ({query}) to '{path}' (format parquet, row_group_size 10000)"
        return int(self._connection.execute(statement).fetchall()[0][0])


def _land_rows(pipeline: dlt.Pipeline, settings: Settings, folder: Path, written: Mapping[str, int]) -> None:
    """Lands what `_Compared.write` wrote; nothing when that is nothing."""
    resources = [
        landing.upsert(
            table,
            folder / f"{table}.parquet",
            TABLES[table],
            rows,
            KEYS.get(table, ("id", "payload_hash")),
        )
        for table, rows in written.items()
        if rows
    ]
    if resources:
        landing.land(pipeline, settings, *resources)


def _held_listings(settings: Settings) -> dict[tuple[str, str], _Held]:
    """What bronze says of earlier listings. A watermark ahead of the rows themselves is void."""
    schema = landing.schema_of(SOURCE)
    with landing.warehouse(settings) as connection:
        assert connection is not None
        rows = connection.execute(
            f"select {', '.join(TABLES['listings'].names)} from {schema}.listings"
        ).fetchall()
        latest = {
            name: connection.execute(f"select max(changed) from {schema}.{name}").fetchall()[0][0]
            for name in VERSIONED
        }
    held = {(organization_id, listing): _Held(*rest) for organization_id, listing, *rest in rows}
    for (organization_id, listing), row in list(held.items()):
        if (
            listing in VERSIONED
            and row.watermark
            and not (latest[listing] and row.watermark <= latest[listing])
        ):
            del held[organization_id, listing]
    return held


def _path(*words: str) -> str:
    return "".join(f"{quote(word, safe='')}/" for word in words)


def _reader(name: str, known: str | None) -> Callable[[Mapping[str, Any]], Any]:
    if known is not None:
        return lambda each: known
    if name == "changed":
        return _changed
    return lambda each: _text(each.get(name))


def _id(each: Any) -> str | None:
    return _text(each.get("id")) if isinstance(each, dict) else None


def _text(value: Any) -> str | None:
    """An id as text; ids are strings, and a number is taken for one. None when it is blank."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def _changed(each: Mapping[str, Any]) -> datetime | None:
    return landing.moment_or_none(each.get("changed"))


def _summed_up(kind: str, failures: Mapping[str, BoxofficeError]) -> list[BoxofficeError]:
    """The first failures in their own words, and how many more there are."""
    problems = list(failures.values())[:NAMED_FAILURES]
    rest = list(failures)[NAMED_FAILURES:]
    if rest:
        problems.append(
            BoxofficeError(
                f"{kind.replace('_', ' ').capitalize()} of {len(rest)} more events were not to be had either:"
                f" {', '.join(rest[:20])}{', …' if len(rest) > 20 else ''}.",
                "The rest is loaded.",
            )
        )
    return problems


def _distinct(problems: Iterable[BoxofficeError]) -> list[BoxofficeError]:
    return list({str(problem): problem for problem in problems}.values())
