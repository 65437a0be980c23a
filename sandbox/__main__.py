"""`python -m sandbox`: the stand-ins that let everything be tried without an account or a network."""

import json
import os
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from boxoffice.errors import BoxofficeError, explained

STATE = Path(__file__).resolve().parent.parent / "warehouse" / "sandbox"
ATTENDEES = 3000
SEED = 2026
PORT = 8900

state_option = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=STATE,
    help="Folder that keeps the stand-in's memory, made when missing.  [default: warehouse/sandbox]",
)
attendees_option = click.option(
    "--attendees",
    type=click.IntRange(1),
    default=ATTENDEES,
    show_default=True,
    help="Tickets in the account. Only a first start looks at it.",
)
seed_option = click.option(
    "--seed",
    type=int,
    default=SEED,
    show_default=True,
    help="Another seed, another account; first start only.",
)


class Group(click.Group):
    """Foreseeable trouble ends in its sentence and exit code 2, not in a traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (BoxofficeError, OSError, sqlite3.Error) as error:
            known = explained(error)
            if known is None:
                raise
            click.echo(str(known), err=True)
            sys.exit(2)


@click.group(cls=Group, invoke_without_command=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes a free one."
)
@state_option
@attendees_option
@seed_option
@click.pass_context
def main(context: click.Context, port: int, state: Path, attendees: int, seed: int) -> None:
    """Run a local Eventbrite, Airtable, CiviCRM and Google Sheets that need no account and no network.

    Without a command it runs in the foreground until Ctrl-C, on invented data that is the same every time and
    kept between runs. Point boxoffice at it with EVENTBRITE_API_URL and EVENTBRITE_TOKEN=sandbox; at Airtable
    with AIRTABLE_API_URL, AIRTABLE_TOKEN=sandbox and AIRTABLE_BASE_ID=appLanternHall001. The CiviCRM
    site takes the API key `sandbox`, which may not delete, and `sandbox-admin`, which may; its times are
    New York's.

    \b
    Examples:
      python -m sandbox                      in the foreground, on port 8900
      python -m sandbox serve --port 0       for programs: one JSON line, then quiet
      python -m sandbox truth                what the marts must show
      python -m sandbox show airtable        the base as tables
      python -m sandbox show civicrm         contacts, participants and contributions as tables
      python -m sandbox reset                forget everything and begin anew

    \b
    While it runs, steer it with JSON at /control:
      GET    /control/            time, counts, and every fault it knows
      POST   /control/faults      {"do": "internal_error", "path": "/orders/", "after": 1, "times": 2}
      POST   /control/clock       {"now": "2026-03-01T12:00:00Z"} or {"advance": 60} or {"now": null}
      POST   /control/objects     {"attendees": [...], "delay": 15}; DELETE takes {"attendees": ["id"]}
      POST   /control/objects/attendees/ID   {"checked_in": true}
      POST   /control/settings    {"page_size": 2, "rate_limit": 100000}
      POST   /control/evolve      {"days": 1}: a later day with new orders, refunds, check-ins
      GET    /control/deliveries  webhook deliveries so far; POST sets switches: {"drop": 1},
                                  {"duplicates": 2}, {"reorder": true}, {"hold": true}, {"foreign": 1}
      POST   /control/deliveries/test        the test button of every webhook
      GET    /control/requests    every call so far; DELETE empties the list
      GET    /control/truth       what the marts must show
      PUT    /control/snapshots/NAME         keep everything as it is; POST puts it back
      GET    /control/airtable/   its settings and faults: POST to settings, faults, changes; GET requests
      GET    /control/civicrm/    likewise, and GET rows/Contact: every row, those in the trash too
      GET    /control/google/     its address, tabs and faults: POST to workbook, settings, faults
      GET    /control/google/credentials     the service account's key, for GOOGLE_APPLICATION_CREDENTIALS
    """
    if context.invoked_subcommand is None:
        _foreground(state, port, attendees, seed)


@main.command()
@state_option
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0 takes a free one."
)
@attendees_option
@seed_option
@click.option("--rate-limit", type=click.IntRange(1), default=None, help="Calls an hour.  [default: 2000]")
@click.option(
    "--airtable-pace",
    type=click.Choice(["strict", "lenient", "off"]),
    default="strict",
    show_default=True,
    help="After a sixth call of a second: lock the base for 30 s, refuse that call, or let it pass.",
)
@click.option(
    "--exit-with-parent/--stay",
    default=None,
    help="Stop when the starting program ends or closes our standard input.  [default: if stdin is a pipe]",
)
def serve(
    state: Path,
    port: int,
    attendees: int,
    seed: int,
    rate_limit: int | None,
    airtable_pace: str,
    exit_with_parent: bool | None,
) -> None:
    """Serve for another program: print one JSON line with the addresses when ready, then stay quiet."""
    if exit_with_parent is None:
        exit_with_parent = _stdin_is_pipe()
    _run(
        state,
        port,
        attendees,
        seed,
        rate_limit=rate_limit,
        airtable_pace=airtable_pace,
        exit_with_parent=exit_with_parent,
        ready=lambda found: click.echo(json.dumps(found)),
    )


@main.command()
@state_option
@attendees_option
@seed_option
@click.option("--as-of", help="Moment of the marts, ISO 8601.  [default: BOXOFFICE_AS_OF, else now]")
@click.option(
    "--sheets/--no-sheets", "has_sheets", default=True, help="With the sample sheets.  [default: with]"
)
@click.option(
    "--airtable/--no-airtable", "has_airtable", default=True, help="With the Airtable base.  [default: with]"
)
@click.option("--json", "as_json", is_flag=True, help="The whole truth as JSON.")
def truth(
    state: Path,
    attendees: int,
    seed: int,
    as_of: str | None,
    has_sheets: bool,
    has_airtable: bool,
    as_json: bool,
) -> None:
    """Print what the marts must show for the stand-in's account, the sample sheets and the Airtable base.

    The figures are summed while each row is invented, never through SQL. Days let pass in the stand-in count.
    Before a first start they are those of the account it would begin with.
    """
    text = as_of or os.environ.get("BOXOFFICE_AS_OF")
    try:
        moment = datetime.fromisoformat(text) if text else datetime.now(UTC)
    except ValueError as error:
        raise BoxofficeError(f"{text} is not a moment.", "Write it like 2026-03-01T12:00:00Z.") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    from sandbox.server import staff_of, truth_of, world_of
    from sandbox.store import FILE, Store

    if (state / FILE).exists():
        store = Store(state, time.time)
        world = world_of(store)
        seed, attendees = store.recall("seed"), store.recall("attendees")
        store.close()
    else:
        from sandbox.generator import generate

        world = generate(seed, attendees=attendees)
    staff = staff_of(seed=seed, attendees=attendees) if has_airtable else None
    found = truth_of(world, moment, has_sheets=has_sheets, staff=staff)
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
    else:
        _show(found)


@main.command()
@click.argument("what", type=click.Choice(["airtable", "civicrm"]))
@state_option
@click.option("--rows", type=click.IntRange(0), default=10, show_default=True, help="Records of each table.")
@click.option("--table", help="Only this one, by name or id.")
@click.option("--json", "as_json", is_flag=True, help="Every record and field as JSON.")
def show(what: str, state: Path, rows: int, table: str | None, as_json: bool) -> None:
    """Print what stands in the Airtable base or the CiviCRM site now, whether or not the sandbox runs."""
    from sandbox import show as showing
    from sandbox.bases import Bases
    from sandbox.store import FILE, Store

    if not (state / FILE).exists():
        raise BoxofficeError(
            f"There is nothing in {state} yet.",
            "`make run` without any setting begins it.",
        )
    store = Store(state, time.time)
    if what == "civicrm":
        from sandbox.civicrm import show as of_site

        site = of_site.tables_of(store)
        store.close()
        if table and table not in site:
            raise BoxofficeError(f"There is no table {table}.", f"There are {', '.join(site)}.")
        click.echo(of_site.as_json(site)) if as_json else of_site.show(site, rows, table)
        return
    bases = list(Bases(store).all().values())
    store.close()
    if table and not any(base.table(table) for base in bases):
        raise BoxofficeError(f"There is no table {table}.", "`python -m sandbox show airtable` lists them.")
    if as_json:
        click.echo(showing.as_json(bases))
    else:
        showing.show(bases, rows, table)


@main.command()
@state_option
@attendees_option
@seed_option
def reset(state: Path, attendees: int, seed: int) -> None:
    """Forget orders, webhooks and days passed; begin anew with the generated account."""
    from sandbox.server import fill
    from sandbox.store import FILE, Store

    if (state / FILE).exists():
        try:
            store = Store(state, time.time)
        except BoxofficeError:
            # Of another version, or no database: what cannot be read cannot be emptied either.
            for suffix in ("", "-wal", "-shm"):
                (state / f"{FILE}{suffix}").unlink(missing_ok=True)
            store = Store(state, time.time)
    else:
        store = Store(state, time.time)
    fill(store, seed=seed, attendees=attendees)
    store.close()
    click.echo(f"The sandbox begins anew, with {attendees:,} tickets.")


def _run(
    state: Path,
    port: int,
    attendees: int,
    seed: int,
    *,
    ready: Callable[[dict[str, str]], None],
    rate_limit: int | None = None,
    airtable_pace: str = "strict",
    exit_with_parent: bool = False,
) -> None:
    """Serve until told to stop. Raises BoxofficeError when the port is taken or the memory unreadable."""
    from sandbox.bases import Bases
    from sandbox.server import Clock, Server, addresses, fill, fill_bases, fill_missing_site, listening_on
    from sandbox.store import Store

    try:
        listener = listening_on(port)
    except OSError as error:
        raise BoxofficeError(
            f"Port {port} is taken.", "Is the sandbox running already? `--port 0` takes a free one."
        ) from error
    clock = Clock()
    store = Store(state, clock)
    if store.recall("seed") is None:
        fill(store, seed=seed, attendees=attendees)
    else:  # a memory may be from before there was an Airtable, or a CiviCRM
        if not Bases(store).all():
            fill_bases(store, seed=store.recall("seed"), attendees=store.recall("attendees"))
        fill_missing_site(store)
    server = Server(store, clock, lambda: ready(addresses(listener.getsockname()[1])))
    if rate_limit is not None:
        server.gate.limit = rate_limit
    server.airtable.settings.mode = airtable_pace
    if exit_with_parent:
        _watch_parent(lambda: setattr(server, "should_exit", True))
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        listener.close()
        store.close()


def _stdin_is_pipe() -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(0).st_mode)
    except OSError:
        return False


def _watch_parent(stop: Callable[[], None]) -> None:
    """Call `stop` when the parent is gone: its end of our stdin closes, or another process adopts us."""
    parent = os.getppid()

    def adopted() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        stop()

    def closed() -> None:
        while os.read(0, 4096):
            pass
        stop()

    watchers = [adopted, closed] if _stdin_is_pipe() else [adopted]
    for watcher in watchers:
        threading.Thread(target=watcher, daemon=True).start()


def _foreground(state: Path, port: int, attendees: int, seed: int) -> None:
    from rich.console import Console
    from rich.panel import Panel

    from sandbox.google import KEY as WORKBOOK

    console = Console()

    def banner(found: dict[str, str]) -> None:
        console.print(
            Panel(
                "A local Eventbrite, Airtable, CiviCRM and Google Sheets with invented data are running.",
                expand=False,
            )
        )
        lines = [
            f"API       {found['eventbrite']}/",
            f"Airtable  {found['airtable']}/v0/",
            f"CiviCRM   {found['civicrm']}/civicrm/ajax/api4/",
            "Token     sandbox",
            f"Google    {found['google']}",
            f"Control   {found['control']}/",
            f"Memory    {state}",
            "",
            "Try it in another terminal:",
            f'  curl -H "Authorization: Bearer sandbox" {found["eventbrite"]}/users/me/organizations/',
            "Or let boxoffice read it:",
            f"  EVENTBRITE_API_URL={found['eventbrite']} EVENTBRITE_TOKEN=sandbox make run",
            "Or the sample sheets from its Google workbook:",
            f"  SHEETS_URL={found['google']}/spreadsheets/d/{WORKBOOK}/edit"
            " MAPPINGS_DIR=sandbox/mappings make run",
            "",
            "Ctrl-C stops it. What changed is kept; `python -m sandbox reset` begins anew.",
        ]
        # Plain and unbroken: people copy these lines.
        console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)

    _run(state, port, attendees, seed, ready=banner)
    console.print("Stopped.")


def _show(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = ("tickets_sold", "attendance", "gross_revenue", "refunds_amount", "net_revenue")
    table = Table(title=f"What event_sales must show as of {found['as_of']}")
    table.add_column("event")
    table.add_column("currency")
    for column in columns:
        table.add_column(column, justify="right")
    for facts in found["events"].values():
        table.add_row(
            str(facts["event_name"]),
            str(facts["currency"] or ""),
            *("" if facts.get(c) is None else str(facts[c]) for c in columns),
        )
    Console().print(table)
    click.echo("`--json` prints everything: days, campaigns, channels.")


if __name__ == "__main__":
    main(prog_name="python -m sandbox")
