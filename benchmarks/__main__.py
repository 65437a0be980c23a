"""What boxoffice costs, each row against a floor measured in the same run: `python -m benchmarks [row]`."""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import requests
from rich.console import Console
from rich.table import Table

from benchmarks import data, floors
from benchmarks.measure import Cost, apart, cost_of, median_of
from boxoffice.settings import ROOT

PYTHON = sys.executable
# As boxoffice/build.py calls it: no unit tests, no log file, no JSON about what was done.
DBT = [PYTHON, "-m", "benchmarks.build", "--quiet", "--log-level-file", "none", "build"]
DBT += ["--exclude-resource-type", "unit_test", "--no-write-json"]
AS_OF = "2026-01-01T00:00:00"

console = Console(stderr=True)


@dataclass(frozen=True)
class Row:
    """One line of the report. `ratio` is of the figure that `reach` speaks of."""

    work: str
    ours: Cost
    floor: Cost | None
    ratio: str
    reach: str
    note: str = ""


class Bench:
    """Where a benchmark works: one scratch folder, and how often it measures."""

    def __init__(self, folder: Path, runs: int, scale: float) -> None:
        self.folder, self.runs, self.scale = folder, runs, scale
        unset = ("EVENTBRITE_TOKEN", "MARTS_PATH", "MAPPINGS_DIR", "SHEETS_TIMEZONE", "MEMORY_LIMIT")
        self.environ = dict.fromkeys(unset, "")
        self.environ |= {"BOXOFFICE_AS_OF": AS_OF, "SHEETS_DIR": str(folder / "sheets")}

    def cost(self, command: list[str], **environ: str) -> Cost:
        return cost_of(command, self.environ | environ, self.folder / "command.log")

    def fresh(self, name: str) -> Path:
        """A warehouse path in a folder of its own, emptied: dlt's folder and the ops file lie beside it."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder / "boxoffice.duckdb"

    def sheets(self) -> Path:
        folder = self.folder / "sheets"
        if not folder.exists():
            apart(data.write_sheets, folder, int(2_000_000 * self.scale))
        return folder

    def dbt(self, warehouse: Path, *arguments: str, memory_limit: str = "") -> Cost:
        target = ["--target-path", str(self.folder / "target"), "--log-path", str(self.folder / "logs")]
        command = [
            *DBT,
            *target,
            "--vars",
            json.dumps({"as_of": AS_OF, "memory_limit": memory_limit}),
            *arguments,
        ]
        return self.cost(command, BOXOFFICE_WAREHOUSE=str(warehouse))

    def payloads(self, name: str, attendees: int) -> Path:
        """A warehouse that holds nothing but so many attendees of Eventbrite, as payloads in bronze."""
        warehouse = self.fresh(name)
        (self.folder / "none").mkdir(exist_ok=True)
        empty = {"SHEETS_DIR": str(self.folder / "none"), "DATABASE_URL": f"duckdb:///{warehouse}"}
        self.cost([PYTHON, "-m", "ingest"], **empty)
        apart(data.write_attendees, warehouse, attendees)
        return warehouse


def landing(bench: Bench) -> Row:
    """Eight sheets with 2,000,000 tickets, first load."""
    folder = bench.sheets()

    def ours() -> Cost:
        warehouse = bench.fresh("landing")
        return bench.cost([PYTHON, "-m", "ingest"], DATABASE_URL=f"duckdb:///{warehouse}")

    def floor() -> Cost:
        warehouse = bench.fresh("landing_floor")
        return bench.cost([PYTHON, "-m", "benchmarks.floors", "land", str(folder), str(warehouse)])

    cost, least = median_of(bench.runs, ours), median_of(bench.runs, floor)
    return Row(
        "land 2,000,000 tickets", cost, least, f"{cost.cpu / least.cpu:.2f}x CPU", "1.7x CPU, under 1,000 MB"
    )


def marts(bench: Bench) -> Row:
    """Silver and gold of those sheets against hand-written SQL; the rows must be the same."""
    bench.sheets()
    landed = bench.folder / "landing" / "boxoffice.duckdb"
    if not landed.exists():
        landed = bench.fresh("landing")
        bench.cost([PYTHON, "-m", "ingest"], DATABASE_URL=f"duckdb:///{landed}")

    def ours() -> Cost:
        return bench.dbt(Path(shutil.copy(landed, bench.fresh("marts"))))

    def floor() -> Cost:
        warehouse = shutil.copy(landed, bench.fresh("marts_floor"))
        return bench.cost([PYTHON, "-m", "benchmarks.floors", "marts", str(warehouse)])

    bench.dbt(Path(shutil.copy(landed, bench.fresh("marts"))))  # warms dbt's parse
    cost, least = median_of(bench.runs, ours), median_of(bench.runs, floor)
    start = median_of(
        bench.runs,
        lambda: bench.dbt(
            bench.fresh("empty"), "--select", "resource_type:seed", "--indirect-selection", "empty"
        ),
    )
    apart(
        floors.assert_same_rows,
        bench.folder / "marts" / "boxoffice.duckdb",
        bench.folder / "marts_floor" / "boxoffice.duckdb",
    )
    return Row(
        "silver + gold of them",
        cost,
        least,
        f"{cost.wall / least.wall:.2f}x wall",
        "2.5x wall",
        f"of which dbt's start {start.wall:.1f} s; without it"
        f" {(cost.wall - start.wall) / least.wall:.2f}x wall",
    )


def payloads(bench: Bench) -> Row:
    """500,000 attendees: everything from payloads against the same build from staging already typed."""
    warehouse = bench.payloads("payloads", int(500_000 * bench.scale))
    bench.dbt(warehouse)
    whole = "--full-refresh"
    cost = median_of(bench.runs, lambda: bench.dbt(warehouse, whole))
    least = median_of(bench.runs, lambda: bench.dbt(warehouse, whole, "--exclude", "stg_eventbrite__*"))
    return Row(
        "silver + gold of 500,000 attendees", cost, least, f"{cost.cpu / least.cpu:.2f}x CPU", "2x CPU"
    )


def incremental(bench: Bench) -> Row:
    """1,000 new attendees on 2,000,000, against a full build; every table must be that of a full build."""
    warehouse = bench.payloads("incremental", int(2_000_000 * bench.scale))
    bench.dbt(warehouse)
    whole = median_of(bench.runs, lambda: bench.dbt(warehouse, "--full-refresh"))
    days = iter(range(10, 100))

    def ours() -> Cost:
        apart(data.add_attendees, warehouse, 1000, next(days))
        return bench.dbt(warehouse)

    cost = median_of(bench.runs, ours)
    twin = Path(shutil.copy(warehouse, bench.fresh("incremental_twin")))
    bench.dbt(twin, "--full-refresh")
    apart(floors.assert_same_build, warehouse, twin)
    return Row(
        "build 1,000 new on 2,000,000 attendees",
        cost,
        whole,
        f"{cost.cpu / whole.cpu:.2f}x CPU",
        "0.25x",
        f"wall {cost.wall / whole.wall:.2f}x; the floor is a full build of the same",
    )


def growth(bench: Bench) -> list[Row]:
    """Ten times as many tickets in the sheets, thrice: what landing and building cost, with 4 GB for both."""
    rows = []
    for tickets in (20_000, 200_000, 2_000_000, 20_000_000):
        tickets = int(tickets * bench.scale)
        sheets = bench.fresh("growth").with_name("sheets")
        apart(data.write_sheets, sheets, tickets)
        warehouse = sheets.with_name("boxoffice.duckdb")
        limit = {"DATABASE_URL": f"duckdb:///{warehouse}", "SHEETS_DIR": str(sheets), "MEMORY_LIMIT": "4GB"}
        landed = bench.cost([PYTHON, "-m", "ingest"], **limit)
        bronze = warehouse.stat().st_size
        built = bench.dbt(warehouse, memory_limit="4GB")
        size = warehouse.stat().st_size
        rows.append(Row(f"land {tickets:,} tickets", landed, None, f"{bronze / 1e6:,.0f} MB on disk", ""))
        rows.append(Row(f"build {tickets:,} tickets", built, None, f"{size / 1e6:,.0f} MB on disk", ""))
        shutil.rmtree(sheets.parent)
    return rows


def pull(bench: Bench) -> Row:
    """A first pull of 50,000 attendees, against dlt's rest_api source; then again with 50 ms latency."""
    attendees = int(50_000 * bench.scale)
    with _stand_in(bench.folder / "sandbox", attendees) as (url, control):

        def ours() -> Cost:
            warehouse = bench.fresh("pull")
            requests.delete(f"{control}/requests", timeout=30)
            return bench.cost(
                [PYTHON, "-m", "ingest", "eventbrite"],
                DATABASE_URL=f"duckdb:///{warehouse}",
                EVENTBRITE_API_URL=url,
                EVENTBRITE_TOKEN="sandbox",  # noqa: S106 - the stand-in's own
            )

        def floor() -> Cost:
            folder = bench.fresh("pull_floor").parent
            return bench.cost([PYTHON, "-m", "benchmarks.floors", "pull", url, str(folder)])

        least = median_of(bench.runs, floor)
        cost = median_of(bench.runs, ours)
        calls = requests.get(f"{control}/requests", timeout=30).json()["requests"]
        pages = max(
            sum(call["path"].endswith(f"/{listing}/") for call in calls)
            for listing in ("orders", "attendees")
        )
        requests.post(
            f"{control}/faults", json={"do": "slow", "ms": 50, "times": None}, timeout=30
        ).raise_for_status()
        slow = ours()
    reach = 1.2 * pages * 0.05 + 5
    return Row(
        f"pull {attendees:,} attendees",
        cost,
        least,
        f"{cost.cpu / least.cpu:.2f}x CPU",
        "0.5x CPU, 1,730 requests",
        f"{len(calls):,} requests; with 50 ms latency {slow.wall:.1f} s (reach {reach:.1f} s)",
    )


@contextmanager
def _stand_in(state: Path, attendees: int) -> Iterator[tuple[str, str]]:
    command = [PYTHON, "-m", "sandbox", "serve", "--state", str(state), "--port", "0"]
    command += ["--attendees", str(attendees), "--exit-with-parent", "--rate-limit", "1000000"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield ready["eventbrite"], ready["control"]
        finally:
            process.terminate()


def idle(bench: Bench) -> Row:
    """`make run` on the sample data when nothing is new."""
    cleared = dict.fromkeys(("SHEETS_DIR", "DATABASE_URL", "BOXOFFICE_AS_OF"), "")
    run = [PYTHON, "-m", "boxoffice", "run"]
    bench.cost(run, **cleared)
    cost = median_of(bench.runs, lambda: bench.cost(run, **cleared))
    return Row(
        "a run with nothing new, sample data", cost, None, f"{cost.wall:.1f} s wall", "under 12 s wall"
    )


def notices(bench: Bench) -> Row:
    """1,000 notices at 200 a second, and 1,000 as fast as they can be sent, while a run is at work."""
    count = max(100, int(1000 * bench.scale))

    def once() -> Cost:
        folder = bench.fresh("notices").parent
        return bench.cost([PYTHON, "-m", "benchmarks.notices", str(folder), str(count)])

    cost = median_of(bench.runs, once)
    # Of the last of the runs.
    told = json.loads((bench.folder / "command.log").read_text().splitlines()[-1])
    measured = f"{told['rate']:.0f}/s; at 200/s p50 {told['p50']:.0f} ms, p99 {told['p99']:.0f} ms"
    return Row(f"store {2 * count:,} notices beside a run", cost, None, measured, "200/s, all stored")


def latency(bench: Bench) -> Row:
    """From a sale at Eventbrite to the CRM, with 100,000 tickets in the warehouse; then 500 sales at once."""
    tickets = int(100_000 * bench.scale)
    folder = bench.fresh("latency").parent
    cost = bench.cost([PYTHON, "-m", "benchmarks.latency", str(folder), str(tickets)])
    told = json.loads((bench.folder / "command.log").read_text().splitlines()[-1])
    seconds = sorted(told["seconds"])
    middle, last = statistics.median(seconds), seconds[-1]
    return Row(
        f"a sale to the CRM, {tickets:,} tickets",
        cost,
        None,
        f"median {middle:.1f} s, max {last:.1f} s",
        "under 5 s, max 15 s",
        f"{len(seconds)} sales one by one; 500 at once: {told['burst']:.0f} s and {told['builds']} builds;"
        " CPU and memory are those of the first run and the stand-ins too",
    )


ROWS: dict[str, Callable[[Bench], Row | list[Row]]] = {
    "landing": landing,
    "marts": marts,
    "payloads": payloads,
    "incremental": incremental,
    "pull": pull,
    "idle": idle,
    "notices": notices,
    "latency": latency,
    "growth": growth,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("rows", nargs=-1, type=click.Choice(list(ROWS)))
@click.option("--runs", default=5, show_default=True, help="How often each is measured; the median counts.")
@click.option("--scale", default=1.0, show_default=True, help="Size of the data against the full size.")
def main(rows: tuple[str, ...], runs: int, scale: float) -> None:
    """Measure rows (all without names) as whole processes and print them beside their floors.

    The full set takes about forty minutes and 20 GB of disk; `growth` and `latency` are most of it, and
    measured once.
    """
    table = Table(title=f"{platform.machine()}, {os.cpu_count()} cores, median of {runs}, scale {scale:g}")
    for heading in (
        "work",
        "CPU s",
        "wall s",
        "peak MB",
        "floor CPU s",
        "floor wall s",
        "measured",
        "to reach",
    ):
        table.add_column(heading, justify="left" if heading == "work" else "right")
    notes = []
    with tempfile.TemporaryDirectory(prefix="boxoffice-bench-") as folder:
        bench = Bench(Path(folder), runs, scale)
        for name in rows or ROWS:
            with console.status(f"measuring {name}"):
                measured = ROWS[name](bench)
            for row in measured if isinstance(measured, list) else [measured]:
                floor = (f"{row.floor.cpu:.1f}", f"{row.floor.wall:.1f}") if row.floor else ("", "")
                ours = (f"{row.ours.cpu:.1f}", f"{row.ours.wall:.1f}", f"{row.ours.memory:.0f}")
                table.add_row(row.work, *ours, *floor, row.ratio, row.reach)
                if row.note:
                    notes.append(f"{row.work}: {row.note}")
    output = Console(width=max(console.width, 130))
    output.print(table)
    for note in notes:
        output.print(note)


if __name__ == "__main__":
    # The commands measured are run from the root, like every command of boxoffice.
    os.chdir(ROOT)
    main()
