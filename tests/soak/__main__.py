"""`make soak`: kill whole runs at random moments, with faults in the sandbox, until time or count is up.

Two warehouses live through the same days. On each day the sandbox's account and the sheets change; one
warehouse is brought up to date without trouble, the other's run is killed with -9 at a random moment, under
faults, and run again. Then every table of bronze, silver, gold and the marts must be the same in both.
"""

import csv
import importlib
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import duckdb
import requests

from boxoffice.stand_ins import AIRTABLE_BASE

ROOT = Path(__file__).resolve().parents[2]
FIRST_DAY = datetime(2027, 6, 1, 6, tzinfo=UTC)
SOURCES = ("ingest.sheets", "ingest.eventbrite", "ingest.airtable")
SCHEMAS = ("bronze_eventbrite", "bronze_sheets", "bronze_airtable", "reference", "silver", "gold", "sync")
FAULTS = (
    {"do": "internal_error", "path": "/orders/"},
    {"do": "internal_error", "path": "/attendees/", "after": 2},
    {"do": "bad_gateway", "path": "/events/"},
    {"do": "drop", "path": "/attendees/", "after": 1},
    {"do": "expired_cursor", "path": "/orders/"},
)


class Warehouse:
    """One of the two: its files, and the log of what its runs said."""

    def __init__(self, folder: Path, sheets: Path, addresses: dict[str, str]) -> None:
        folder.mkdir()
        self.path, self.marts = folder / "boxoffice.duckdb", folder / "marts.duckdb"
        self._log = folder / "log.txt"
        self._environ = {
            "DATABASE_URL": f"duckdb:///{self.path}",
            "MARTS_PATH": str(self.marts),
            "SHEETS_DIR": str(sheets),
            "EVENTBRITE_TOKEN": "sandbox",
            "EVENTBRITE_API_URL": addresses["eventbrite"],
            "AIRTABLE_TOKEN": "sandbox",
            "AIRTABLE_BASE_ID": AIRTABLE_BASE,
            "AIRTABLE_API_URL": addresses["airtable"],
            "MAPPINGS_DIR": str(ROOT / "sandbox" / "mappings"),
            "LOG_LEVEL": "ERROR",
        }

    def start(self, day: datetime, *words: str) -> int:
        """Begin a run in a process of its own, forked from this one: all is imported. Returns its pid."""
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            with self._log.open("a") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            os.environ.update({**self._environ, "BOXOFFICE_AS_OF": day.isoformat()})
            from boxoffice.__main__ import main

            main(["run", *words])
        except SystemExit as ended:
            os._exit(ended.code if isinstance(ended.code, int) else 1)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(70)

    def run(self, day: datetime) -> float:
        """A whole run. Returns its seconds; raises ClickException when it does not end well."""
        started = time.monotonic()
        _, status = os.waitpid(self.start(day), 0)
        if code := os.waitstatus_to_exitcode(status):
            raise click.ClickException(f"A run on {day:%Y-%m-%d} ended with {code}; {self._log} says why.")
        return time.monotonic() - started

    def run_killed(self, day: datetime, seconds: float) -> str | None:
        """A run that is killed after so many seconds. Returns the step it was in; None if it ended before."""
        pid = self.start(day)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return None
            time.sleep(0.005)
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return self._step_at_work()

    def _step_at_work(self) -> str:
        with sqlite3.connect(self.path.with_name("ops.sqlite")) as connection:
            rows = connection.execute(
                "select step from steps where run_id = (select max(run_id) from runs) order by position"
            ).fetchall()
        connection.close()
        steps = ("sheets", "eventbrite", "airtable", "build", "publish")
        done = [step for (step,) in rows]
        return next((step for step in steps if step not in done), "the end")


def differences(left: Warehouse, right: Warehouse) -> list[str]:
    """The tables whose rows are not the same in both; not dlt's, nor views, which others hold whole."""
    found = []
    with duckdb.connect() as connection:
        for which in ("path", "marts"):
            connection.execute(f"attach '{getattr(left, which)}' as l (read_only)")
            connection.execute(f"attach '{getattr(right, which)}' as r (read_only)")
            names = {
                side: {
                    (schema, table)
                    for schema, table in connection.execute(
                        "select table_schema, table_name from information_schema.tables"
                        f" where table_catalog = '{side}' and table_schema in {SCHEMAS}"
                        " and table_type = 'BASE TABLE' and table_name not like '\\_dlt%' escape '\\'"
                        " and table_name not like 'health%'"
                        # When Airtable was asked, by its own clock.
                        " and not (table_schema = 'bronze_airtable' and table_name = 'listings')"
                    ).fetchall()
                }
                for side in ("l", "r")
            }
            found += [f"{which}: {name} is in one only" for name in sorted(names["l"] ^ names["r"])]
            for schema, table in sorted(names["l"] & names["r"]):
                # A killed run draws numbers that nothing uses; how far they went is not what is compared.
                rows_of = (
                    f'select columns(name -> name <> \'build_number\') from {{side}}."{schema}"."{table}"'
                )
                one, two = rows_of.format(side="l"), rows_of.format(side="r")
                rows = connection.execute(
                    f"select count(*) from (({one} except all {two}) union all ({two} except all {one}))"
                ).fetchall()[0][0]
                if rows:
                    found.append(f"{which}: {rows} rows of {schema}.{table}")
            connection.execute("detach l")
            connection.execute("detach r")
    return found


def edit_sheets(sheets: Path, chance: random.Random) -> None:
    """A day's work in the sheets: a new ticket, one gone, one changed, sometimes a broken line."""
    path = chance.choice([sheets / "tickets.csv", sheets / "checkins.csv", sheets / "refunds.csv"])
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    place = chance.randrange(len(rows))
    rows[place] = [*rows[place][:-1], chance.choice(["", "valid", "cancelled", "nonsense"])]
    rows.pop(chance.randrange(len(rows)))
    rows.append([str(chance.randrange(10**6)), *rows[chance.randrange(len(rows))][1:]])
    if chance.random() < 0.2:
        rows.append(["too", "few"])
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


@contextmanager
def stand_in(state: Path) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "sandbox", "serve", "--state", str(state), "--rate-limit", "10000000"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


@click.command()
@click.option("--kills", default=200, show_default=True, help="How many runs to kill.")
@click.option("--minutes", default=120.0, show_default=True, help="Stop after these, whatever has been done.")
@click.option("--seed", default=1, show_default=True)
@click.option("--keep", is_flag=True, help="Keep the folder with both warehouses.")
def main(kills: int, minutes: float, seed: int, keep: bool) -> None:
    """Kill runs at random moments and compare what is left with an undisturbed twin."""
    # Once, so that a run starts in a fraction of a second.
    for name in ("dbt.adapters.duckdb", "dbt.cli.main", "boxoffice.__main__", *SOURCES):
        importlib.import_module(name)
    os.chdir(ROOT)
    chance = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="soak"))
    shutil.copytree(ROOT / "data" / "sample", folder / "sheets")
    tally: Counter[str] = Counter()
    deadline = time.monotonic() + minutes * 60
    with stand_in(folder / "sandbox") as addresses:
        control = addresses["control"]
        # A run after a killed one would meet the calls of both, and wait for half a minute.
        requests.post(f"{control}/airtable/settings", json={"mode": "off"}, timeout=60).raise_for_status()
        calm, struck = (Warehouse(folder / name, folder / "sheets", addresses) for name in ("calm", "struck"))
        usual = calm.run(FIRST_DAY)
        # A copy, as customers are told apart by a salt that every warehouse draws for itself.
        shutil.copytree(folder / "calm", folder / "struck", dirs_exist_ok=True)
        for day in (FIRST_DAY + timedelta(days=number) for number in itertools.count(1)):
            if sum(tally.values()) >= kills or time.monotonic() > deadline:
                break
            requests.post(f"{control}/evolve", json={"days": 1}, timeout=60).raise_for_status()
            edit_sheets(folder / "sheets", chance)
            usual = 0.8 * usual + 0.2 * calm.run(day)
            if chance.random() < 0.5:
                requests.post(f"{control}/faults", json=chance.choice(FAULTS), timeout=60).raise_for_status()
            step = struck.run_killed(day, chance.uniform(0.02, usual))
            requests.delete(f"{control}/faults", timeout=60).raise_for_status()
            if step:
                tally[step] += 1
            struck.run(day)
            if found := differences(calm, struck):
                raise click.ClickException(
                    f"After a kill in {step} (seed {seed}) the twins differ in {folder}: {'; '.join(found)}"
                )
            click.echo(f"{sum(tally.values())}/{kills}: {step or 'not killed'}; the same again")
    spread = ", ".join(f"{count} in {step}" for step, count in tally.most_common())
    click.echo(f"{sum(tally.values())} kills ({spread}), {usual:.1f} s a run: both warehouses are the same.")
    if not keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
