"""`python -m ingest [SOURCE]`: land the sources in bronze."""

import importlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from boxoffice import findings, stand_ins
from boxoffice.errors import BoxofficeError, CallError, ConfigurationError, explained
from boxoffice.findings import Finding
from boxoffice.session import Session, Step, conduct
from boxoffice.settings import Settings

logger = logging.getLogger(__name__)

# Sheets first: they load while the stand-ins start.
SOURCES = ("sheets", "eventbrite", "airtable")
STOOD_IN = ("eventbrite", "airtable")


def land(
    session: Session, ready: Callable[[], Settings], sources: Sequence[str] = SOURCES, *, full: bool = False
) -> None:
    """Land one source after the other. A source that fails leaves a problem and lets the next one go on.

    Args:
        ready: as `stand_ins.started` yields it.
    """
    for source in sources:
        with session.step(source) as step:
            settings = session.settings
            if source in STOOD_IN:
                try:
                    settings = ready()
                except BoxofficeError as error:
                    session.problem(source, error)
                    step.status = "failed"
            _land_one(session, step, source, settings, full)


def ensure_tables(settings: Settings) -> None:
    """Make the bronze tables of every source that are not there yet: models read them all, and a warehouse
    can be older than a source."""
    for source in SOURCES:
        importlib.import_module(f"ingest.{source}").ensure_tables(settings)


def _land_one(session: Session, step: Step, source: str, settings: Any, full: bool) -> None:
    try:
        module = importlib.import_module(f"ingest.{source}")
        forgotten = session.ops.forgotten()
        people = {"forgotten": forgotten} if forgotten else {}
        result = module.load(settings, full=full, progress=session.progress, **people)
    except ConfigurationError:
        raise
    except Exception as error:
        known = explained(error)
        if known is None:
            logger.exception("%s failed unexpectedly", source)
            known = BoxofficeError(
                f"It failed unexpectedly ({type(error).__name__}).", "The log lines above say where."
            )
        session.problem(source, known)
        step.status = "failed"
        return
    step.status = "failed" if step.status == "failed" else result.status
    step.requests = result.requests or None
    session.notes += result.notes
    # Kept among the API errors; people are shown the id.
    numbers = {id(call): session.ops.add_api_error(session.run_id, source, call) for call in result.failures}
    for problem in result.problems:
        number = numbers.get(id(problem.call)) if isinstance(problem, CallError) else None
        if number is not None:
            problem = BoxofficeError(problem.problem, f"{problem.remedy} (API error {number}.)".strip())
        session.problem(source, problem)
    if result.status in ("skipped", "failed"):
        return  # nothing landed that could be counted on
    step.landed = sum(table.read - table.rejected for table in result.tables)
    step.changed = sum(table.landed for table in result.tables)
    step.rejected = sum(table.rejected for table in result.tables)
    step.tables = [asdict(table) for table in result.tables]
    if result.requests:
        step.detail = f"{result.requests:,} requests"


def check(settings: Settings) -> Iterator[Finding]:
    """What `doctor` finds of each source, by asking it. In sandbox mode there is nothing to ask."""
    if settings.is_sandbox:
        return
    for source in SOURCES:
        try:
            yield from importlib.import_module(f"ingest.{source}").check(settings)
        except BoxofficeError as error:
            yield findings.wrong(source, error)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("source", required=False, type=click.Choice(sorted(SOURCES)))
@click.option("--full", is_flag=True, help="Read everything again, and mark what has vanished.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the summary.")
def main(source: str | None, full: bool, as_json: bool) -> None:
    """Land SOURCE (all of them without it) in the bronze schemas of the warehouse."""
    sources = (source,) if source else SOURCES

    def body(session: Session) -> None:
        with stand_ins.started(session.settings) as ready:
            land(session, ready, sources, full=full)
        session.next.append("Next: `make silver gold` builds the models; `make run` does all of it.")

    sys.exit(conduct("ingest", body, as_json=as_json))


if __name__ == "__main__":
    main()
