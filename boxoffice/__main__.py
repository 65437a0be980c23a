"""`python -m boxoffice`: the only module that puts ingest, dbt and reverse_etl together."""

import re
import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from boxoffice import mappings
from boxoffice.errors import BoxofficeError, CallError, ConfigurationError
from boxoffice.ops import EMAIL
from boxoffice.session import Session, conduct, observe
from boxoffice.settings import Settings
from boxoffice.terminal import Terminal

if TYPE_CHECKING:
    from boxoffice.build import BuildResult, Warm
    from boxoffice.eventbrite_api import Client
    from boxoffice.status import Notices
    from ingest.eventbrite_singles import Fetched, Wanted
    from reverse_etl.airtable import Schema

JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the summary.")
SANDBOX = "Sandbox mode, as nothing of yours is set: sample data, stand-ins for the APIs."


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """An events-and-ticketing warehouse: Eventbrite, sheets and Airtable in, tested marts out."""


@main.command()
@click.option("--full", is_flag=True, help="Read the sources whole, and mark what has vanished.")
@JSON
def run(full: bool, as_json: bool) -> None:
    """Ingest, build, publish and sync, once."""

    def body(session: Session) -> None:
        from boxoffice import stand_ins
        from ingest.__main__ import land

        mappings.check(session.settings)
        if session.settings.is_sandbox:
            session.terminal.say(SANDBOX, style="bold cyan")
        with stand_ins.started(session.settings) as ready:
            land(session, ready, full=full)
            write_back(session, build_and_publish(session), ready)
        if session.settings.is_sandbox:
            session.next.append("See what went to Airtable: .venv/bin/python -m sandbox show airtable")
            session.next.append("and what to CiviCRM: .venv/bin/python -m sandbox show civicrm")
            session.next.append("To leave sandbox mode, put your CSVs into data/sheets or a token into .env.")

    sys.exit(conduct("run", body, as_json=as_json))


@main.command()
@click.argument("layer", required=False, type=click.Choice(["silver", "gold"]))
@JSON
def build(layer: str | None, as_json: bool) -> None:
    """Build LAYER (everything without it) from what has landed, test it, and publish gold."""

    def body(session: Session) -> None:
        mappings.check(session.settings)
        below, target = ("silver", "make silver") if layer == "gold" else ("bronze_sheets", "make bronze")
        if not _has(session.settings.warehouse_path, below):
            raise ConfigurationError(
                f"There is nothing to build {layer or 'silver and gold'} from yet.",
                f"`{target}` comes first; `make run` does all of it.",
            )
        # Seeds belong to silver: its models read them.
        select = {"silver": ("resource_type:seed", "silver"), "gold": ("gold", "sync"), None: ()}[layer]
        build_and_publish(session, select)
        if layer == "silver" and not session.problems:
            session.next.append("Next: `make gold`.")

    sys.exit(conduct("build", body, as_json=as_json))


@main.command()
@click.argument("emails", nargs=-1, required=True, metavar="EMAIL...")
@JSON
def forget(emails: tuple[str, ...], as_json: bool) -> None:
    """Take the people with these EMAILs out of the warehouse, and leave them out from now on.

    Their tickets and money stay in the sums; name, e-mail and whatever else tells of them goes.
    """

    def body(session: Session) -> None:
        from boxoffice import identities, ops
        from ingest import forgetting

        mappings.check(session.settings)
        # They are never repeated: what people see is counts.
        for place, email in enumerate(emails, 1):
            if not re.fullmatch(EMAIL, email.strip()):
                raise ConfigurationError(
                    f"Word {place} after `forget` is no e-mail address; nobody was forgotten.",
                    "Give one or more addresses, separated by spaces.",
                )
        with session.step("forget") as step:
            identities.forget(session.ops, session.settings.warehouse_path, emails)
            new = session.ops.forget(emails)
            rows = forgetting.redact(session.settings, session.ops.forgotten())
            copies = ops.remove_copies(session.settings.ops_path)
            step.detail = f"{new} new of {len(emails)}, {rows:,} rows blanked"
        session.facts["forgotten"] = {
            "asked": len(emails),
            "new": new,
            "rows_blanked": rows,
            "copies_removed": copies,
        }
        # What was built from bronze still names them, and so do the file's bytes; also after a kill.
        if _has(session.settings.warehouse_path, "silver"):
            build_and_publish(session, whole=True)
        with session.step("rewrite") as step:
            forgetting.rewrite(session.settings)
            step.detail = "no trace left in the file"
        if copies:
            session.notes.append(
                f"{copies} older copies of {_short(session.settings.ops_path)} named people and were removed."
            )
        session.next.append("The sources still hold them: ask for them to be removed there too.")

    sys.exit(conduct("forget", body, as_json=as_json))


@main.command()
@JSON
def docs(as_json: bool) -> None:
    """Write the documentation of every table and column as one page that opens offline."""

    def body(session: Session) -> None:
        from boxoffice import build

        mappings.check(session.settings)
        with session.step("docs"):
            page = build.docs(session.settings)
        session.facts["page"] = str(page)
        session.next.append(f"Open {_short(page)} in a browser.")

    sys.exit(conduct("docs", body, as_json=as_json))


@main.command()
@JSON
def schedule(as_json: bool) -> None:
    """Run every SCHEDULE_MINUTES, beginning now, until Ctrl-C. What was left out or missed is told."""

    def body(settings: Settings, terminal: Terminal) -> tuple[int, dict[str, Any]]:
        from boxoffice import alerts
        from boxoffice.schedule import Schedule

        def say(sentence: str) -> None:
            terminal.say(sentence)
            # A run that could not even begin has told nobody.
            alerts.look_from_outside(settings)

        # A mapping that makes no sense is better told now than by every run.
        mappings.check(settings)
        minutes = settings.schedule_minutes
        every = "minute" if minutes == 1 else f"{minutes} minutes"
        terminal.say(f"`run` every {every} (SCHEDULE_MINUTES), beginning now; Ctrl-C stops it.")
        kept = Schedule(timedelta(minutes=minutes), say, is_silent=as_json)
        kept.keep()
        counts = f"{len(kept.ran):,} runs, {kept.left_out:,} left out, {kept.missed:,} missed"
        terminal.say(f"Stopped: {counts}.")
        return 0, {"exit_codes": kept.ran, "left_out": kept.left_out, "missed": kept.missed}

    sys.exit(observe("schedule", body, as_json=as_json))


@main.command()
@JSON
def status(as_json: bool) -> None:
    """Tell how it is: the last runs, how fresh each source is, what was refused, what the APIs were asked."""
    sys.exit(observe("status", _status, as_json=as_json))


@main.command()
@JSON
def doctor(as_json: bool) -> None:
    """Find what is set up wrong, and say how to mend it.

    Asks sources and destinations, and changes nothing but one thing: CiviCRM gets the participant status
    "Removed in EventBrite" if it lacks it.
    """
    sys.exit(observe("doctor", _doctor, as_json=as_json))


def _status(settings: Settings, terminal: Terminal) -> tuple[int, dict[str, Any]]:
    from boxoffice import status

    found = status.read(settings)
    if found.at_work:
        terminal.say(f"At work: {found.at_work}.", style="bold cyan")
    if not found.runs:
        terminal.say("Nothing has run yet: `make run` does it all.")
    else:
        terminal.table(
            ("Command", "Result", "Started (UTC)", "Seconds"),
            [
                (run.command, run.status, run.started_at, "" if run.seconds is None else f"{run.seconds:.1f}")
                for run in found.runs
            ],
        )
    if found.sources:
        terminal.table(
            ("Source", "Last attempt", "Landed last (UTC)", "Rejected"),
            [
                (
                    source.source,
                    source.status,
                    source.landed_at or "never",
                    "" if source.rows_rejected is None else f"{source.rows_rejected:,}",
                )
                for source in found.sources
            ],
        )
    if found.destinations:
        terminal.table(
            ("Destination", "Last attempt", "Written last (UTC)", "Refused", "Waiting"),
            [
                (
                    each.destination,
                    each.status,
                    each.written_at or "never",
                    f"{each.rows_refused:,}" if each.rows_refused else "",
                    f"{each.rows_waiting:,}" if each.rows_waiting else "",
                )
                for each in found.destinations
            ],
        )
    if found.calls:
        terminal.table(
            ("Calls to", "Last hour", "Today", "This month", "Allowed"),
            [
                (each.api, f"{each.last_hour:,}", f"{each.today:,}", f"{each.this_month:,}", each.allowed)
                for each in found.calls
            ],
        )
    if found.notices:
        terminal.say(_notices(found.notices))
    if found.marts_written_at:
        terminal.say(f"{_short(settings.marts_path)} was published at {found.marts_written_at} UTC.")
    if found.api_errors:
        terminal.say(
            f"{found.api_errors:,} failed calls are kept in {_short(settings.ops_path)}, api_errors."
        )
    latest = [source.status for source in found.sources] + [each.status for each in found.destinations]
    is_well = all(status == "ok" for status in latest) and (
        not found.runs or found.runs[0].status in ("ok", "running")
    )
    if found.notices and (found.notices.is_stuck or found.notices.parked):
        is_well = False
    return (0 if is_well else 1), asdict(found)


def _notices(found: "Notices") -> str:
    said = "No notice of Eventbrite waits."
    if found.waiting:
        said = f"{found.waiting:,} notices of Eventbrite wait, the oldest since {found.waiting_since} UTC."
        if found.is_stuck:
            said += " Is `make listen` at work, and what does it say?"
    if found.parked:
        said += f" {found.parked:,} could not be worked on, lastly: {found.why} The next run brings them."
    return said


def _doctor(settings: Settings, terminal: Terminal) -> tuple[int, dict[str, Any]]:
    from boxoffice import findings
    from ingest.__main__ import check
    from reverse_etl import civicrm_doctor, doctor
    from webhooks import doctor as webhooks_doctor

    found: list[findings.Finding] = []
    if settings.is_sandbox:
        terminal.say(SANDBOX, style="bold cyan")
    of_systems = (check, webhooks_doctor.check, doctor.check, civicrm_doctor.check)
    looked = (findings.of_machine, findings.of_mappings, *of_systems)
    for finding in chain.from_iterable(look(settings) for look in looked):
        found.append(finding)
        terminal.finding(finding.system, finding.state, finding.what, finding.remedy)
    bad = [finding for finding in found if finding.state in ("wrong", "look")]
    terminal.say(f"{len(bad)} to mend." if bad else "All is well.", style="bold")
    return (1 if bad else 0), {"findings": [asdict(finding) for finding in found]}


def build_and_publish(
    session: Session,
    select: Sequence[str] = (),
    *,
    whole: bool = False,
    warm: "Warm | None" = None,
    leaves_off: Callable[[], bool] = lambda: False,
) -> "BuildResult":
    """Build `select` (all when empty); publish gold if it was built and is sound.

    Args:
        whole: make incremental models anew too. warm: the project, where it is kept parsed. leaves_off: as
            `build.build`, which raises `LeftOff`.
    """
    from boxoffice import build, identities, ops
    from boxoffice.publish import publish, renew
    from ingest.__main__ import ensure_tables

    settings = session.settings
    with session.step("build") as step:
        ensure_tables(settings)
        # What models read of the ops file.
        identities.lend(session.ops, settings.warehouse_path, settings.as_of)
        ops.copy_to_warehouse(session.ops, settings.warehouse_path)
        built = build.build(
            settings,
            select=select,
            whole=whole,
            warm=warm,
            progress=session.progress,
            leaves_off=leaves_off,
        )
        step.detail = f"{built.models} models, {built.tests_passed} tests"
        if built.failures:
            step.detail += f", {len(built.failures)} failed"
            step.status = "partial"
        identities.keep(session.ops, settings.warehouse_path, settings.as_of)
        session.ops.add_tests(session.run_id, map(astuple, built.tests))
    health = {name: table for name, table in built.published.items() if name.startswith("health_")}
    session.at_end.append(partial(renew, settings.warehouse_path, settings.marts_path, health))
    for trouble in built.failures:
        session.problem(trouble.kind, BoxofficeError(f"{trouble.name}: {trouble.message}"))
    session.notes += [f"{warning.name}: {warning.message}" for warning in built.warnings]
    if select and "gold" not in select:
        return built
    if not built.gold_is_sound:
        stays = "It shows the last good state until then." if settings.marts_path.exists() else ""
        problem = f"{_short(settings.marts_path)} is not renewed before the failures above are mended."
        session.problem("publish", BoxofficeError(problem, stays))
        return built
    with session.step("publish") as step:
        done = publish(settings.warehouse_path, settings.marts_path, built.published)
        step.detail = f"{done.tables} tables, {done.rows:,} rows"
    _headlines(session)
    return built


def write_back(
    session: Session,
    built: "BuildResult",
    ready: Callable[[], Settings],
    schema: "Schema | None" = None,
    *,
    again: bool = True,
) -> bool:
    """Sync what the build made and left sound; in sandbox mode Airtable's base is made ready for it.

    Args:
        ready: as `stand_ins.started` yields it. schema: of Airtable's base, where it is kept.
        again: rows that Airtable refused before are sent, too.

    Returns:
        Whether both destinations could be asked all that was to be asked.
    """
    from reverse_etl.__main__ import sync, sync_civicrm

    try:
        settings = ready()
    except BoxofficeError as error:
        session.problem("sync", error)
        return False
    of_airtable = sync(
        session,
        built.synced,
        settings=settings,
        unsound=built.unsound_sync,
        bootstrap=settings.is_sandbox,
        schema=schema,
        again=again,
    )
    of_civicrm = sync_civicrm(session, built.synced, settings=settings, unsound=built.unsound_sync)
    return of_airtable and of_civicrm


@dataclass
class Refreshed:
    """What came of refreshing objects, by (type, id). Those that are named nowhere were not tried.

    read: landed, or nothing to land. missing: what Eventbrite does not show, or not yet. failed: what was
    wrong with these alone, and the number it is kept under. closed_for: seconds for which Eventbrite takes no
    calls; problem: why, where that is not merely a spent budget. changed_at: of orders and attendees, in
    seconds since the epoch. is_through: all that landed is built, and destinations could be asked to take it;
    where they could not, `catch_up` makes up for it.
    """

    read: Collection[tuple[str, str]]
    missing: Collection[tuple[str, str]]
    failed: Mapping[tuple[str, str], tuple[str, int | None]]
    closed_for: float | None
    problem: BoxofficeError | None
    changed_at: Mapping[tuple[str, str], float]
    is_through: bool


class Hot:
    """The short way from notices to destinations, with what makes it short kept between times: dbt's project
    parsed, the connection to Eventbrite open, the schema of Airtable's base known."""

    def __init__(self) -> None:
        from boxoffice.build import Warm
        from reverse_etl.airtable import Schema

        self.warm, self._schema = Warm(), Schema()
        self._client: Client | None = None
        # Tables whose changes Airtable has not seen, as there were more notices to work on first.
        self._left: set[str] = set()

    @property
    def is_left(self) -> bool:
        """Airtable waits: a refresh, if of nothing, goes on with it."""
        return bool(self._left)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def warm_up(self, settings: Settings) -> None:
        """Do beforehand what takes long the first time: importing, and reading the models."""
        from boxoffice import build
        from ingest import eventbrite_singles
        from reverse_etl import __main__  # noqa: F401

        if settings.eventbrite_token is not None:
            self._client = eventbrite_singles.client_for(settings)
        build.sync_models(settings, warm=self.warm)

    def refresh(
        self,
        session: Session,
        wanted: "Sequence[Wanted]",
        *,
        is_owed: bool,
        is_hurried: Callable[[], bool] = lambda: False,
    ) -> Refreshed:
        """Fetch objects of Eventbrite once each, land them, and bring what they change to the destinations.

        Args:
            is_owed: what landed before may not have been brought on. is_hurried: asked when CiviCRM has what
                came; Airtable, at whose door nobody stands, is left to the next refresh then.

        Raises:
            BoxofficeError: the machine refuses, or nothing was ever loaded.
        """
        from ingest import eventbrite, eventbrite_singles

        settings = session.settings
        if self._client is None:
            self._client = eventbrite_singles.client_for(settings)
        client, asked = self._client, self._client.budget.requests
        with session.step("eventbrite") as step:
            found = eventbrite_singles.fetch(client, settings, wanted)
            step.requests = client.budget.requests - asked
            results, changed = eventbrite.merge(
                settings, found.objects, forgotten=session.ops.forgotten() or None
            )
            step.landed = sum(table.read - table.rejected for table in results)
            step.changed = sum(table.landed for table in results)
            step.rejected = sum(table.rejected for table in results)
            failed = _kept(session, client, found)
            if found.problem is not None:
                step.status = "failed"
        tables = set(eventbrite.TABLES) if is_owed else changed
        names = {f"bronze_eventbrite.{name}" for name in tables}
        return Refreshed(
            read=found.read,
            missing=set(found.missing),
            failed=failed,
            closed_for=found.closed_for,
            problem=found.problem,
            changed_at=found.changed_at,
            is_through=self._bring_on(session, names, found.orders, is_hurried),
        )

    def _bring_on(
        self, session: Session, tables: set[str], orders: Collection[str], is_hurried: Callable[[], bool]
    ) -> bool:
        """CiviCRM first: somebody may be waiting at its door. Returns whether all went through."""
        if not tables and not self._left:
            return True
        from boxoffice import build, identities
        from reverse_etl.__main__ import sync, sync_civicrm

        settings = session.settings
        identities.lend(session.ops, settings.warehouse_path, settings.as_of)
        failed_tests = session.ops.failed_tests()
        done: set[str] = set()
        is_through = True
        for destination, is_set, bring in (
            ("civicrm", settings.civicrm_url is not None, partial(sync_civicrm, again=orders)),
            (
                "airtable",
                settings.airtable_token is not None,
                partial(sync, schema=self._schema, again=False),
            ),
        ):
            if destination == "airtable":
                tables, self._left = tables | self._left, set()
                if is_set and is_hurried():
                    self._left = tables
                    break
            if not is_set or not tables:
                continue
            with session.step(f"build {destination}") as step:
                built = build.renew(
                    settings,
                    destination,
                    tables=tables,
                    failed_tests=failed_tests,
                    warm=self.warm,
                    without=done,
                )
                if built is None:
                    step.status = "skipped"
                    return False
                step.detail = f"{built.models} models"
                for trouble in built.failures:
                    step.status = "partial"
                    session.problem(trouble.kind, BoxofficeError(f"{trouble.name}: {trouble.message}"))
                    is_through = False
            done |= built.done
            is_through &= bring(session, built.synced, settings=settings, unsound=built.unsound_sync)
        return is_through

    def catch_up(self, session: Session, *, leaves_off: Callable[[], bool] = lambda: False) -> bool:
        """What a run does after its ingest: all models, tests, publishing, both destinations. Returns whether
        these could be asked to take it.

        Raises:
            LeftOff: as `leaves_off` said so while models were built.
        """
        built = build_and_publish(session, warm=self.warm, leaves_off=leaves_off)
        return write_back(session, built, lambda: session.settings, self._schema, again=False)


def _kept(
    session: Session, client: "Client", found: "Fetched"
) -> dict[tuple[str, str], tuple[str, int | None]]:
    """What was wrong with each object that failed, its call kept among the API errors."""
    failed: dict[tuple[str, str], tuple[str, int | None]] = {}
    for key, problem in found.failed.items():
        call = problem.call if isinstance(problem, CallError) else None
        number = None if call is None else session.ops.add_api_error(session.run_id, "eventbrite", call)
        failed[key] = str(problem), number
    client.failures.clear()
    return failed


def _has(warehouse: Path, schema: str) -> bool:
    """Whether the warehouse has a table or view in the schema."""
    import duckdb

    with duckdb.connect(str(warehouse), read_only=True) as connection:
        tables = "select schema_name from duckdb_tables() union all select schema_name from duckdb_views()"
        found = connection.execute(f"select 1 from ({tables}) where schema_name = ? limit 1", [schema])
        return bool(found.fetchall())


def _headlines(session: Session) -> None:
    import duckdb

    with duckdb.connect() as connection:
        for name, path in (
            ("marts", session.settings.marts_path),
            ("warehouse", session.settings.warehouse_path),
        ):
            literal = str(path).replace("'", "''")
            connection.execute(f"attach '{literal}' as {name} (read_only)")
        events, tickets = connection.execute(
            "select count(*), coalesce(sum(tickets_sold), 0) from marts.gold.event_sales"
        ).fetchall()[0]
        money = connection.execute(
            """
            select
                coalesce(currency, 'none'), coalesce(any_value(exponent), 2), sum(tickets_sold),
                sum(gross_revenue), sum(refunds_amount), sum(net_revenue)
            from marts.gold.event_money left join warehouse.reference.currencies using (currency)
            group by all order by 3 desc, 1
            """
        ).fetchall()
    session.facts["headlines"] = {"events": events, "tickets_sold": tickets}
    session.headlines.append(f"{events:,} events, {tickets:,} tickets sold.")
    session.figures = (
        ("Currency", "Tickets sold", "Gross", "Refunds", "Net"),
        [
            (currency, f"{sold:,}", *(f"{amount:,.{exponent}f}" for amount in amounts))
            for currency, exponent, sold, *amounts in money
        ],
    )
    marts = _short(session.settings.marts_path)
    session.next.append(f"Look at it: .venv/bin/duckdb -readonly {shlex.quote(marts)}")
    session.next.append("then type:  from gold.event_sales;")


def _short(path: Path) -> str:
    """The path as a person would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


if __name__ == "__main__":
    main()
