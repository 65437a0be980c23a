"""The whole loop, on the sample sheets and the stand-in, as a newcomer's `make run` has it."""

import csv
import json
import math
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from boxoffice.settings import ROOT
from tests.python.boxoffice.conftest import Command, Ended, process_environment

TRACKED = (
    "boxoffice",
    "ingest",
    "reverse_etl",
    "macros",
    "models",
    "sandbox",
    "seeds",
    "data/sample",
    "tests/generic",
)
TOKEN = "WRONGTOKEN99"

# Kills the process with the last breath of the step named first, as a power cut would.
KILLED_AFTER = """
import os, runpy, signal, sys
from boxoffice.session import Session
name, real = sys.argv.pop(1), Session._record
def record(self, step):
    real(self, step)
    if step.name == name:
        os.kill(os.getpid(), signal.SIGKILL)
Session._record = record
runpy.run_module("boxoffice", run_name="__main__")
"""


KILLED_BEFORE_BLANKING = """
import os, runpy, signal
from ingest import forgetting
forgetting.redact = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
runpy.run_module("boxoffice", run_name="__main__")
"""


class Clone:
    """A newcomer's folder: the project without settings, environment or data of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (*TRACKED, "tests/singular"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("dbt_project.yml", "profiles.yml"):
            shutil.copy(ROOT / name, folder / name)

    def python(self, *words: str) -> Ended:
        unset = dict.fromkeys(("DATABASE_URL", "MARTS_PATH", "SHEETS_DIR"), "")
        environ = {**process_environment(self.folder, unset), "PYTHONPATH": str(self.folder)}
        ended = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def run(self, *words: str) -> Ended:
        return self.python("-m", "boxoffice", "run", *words)

    def marts(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every published table, its rows sorted; without health, which tells of each run, and without the
        hashes of people, which no two warehouses share."""
        with duckdb.connect(
            str(self.folder / "warehouse" / "sandbox_marts.duckdb"), read_only=True
        ) as connection:
            tables = [
                row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()
            ]
            return {
                table: connection.execute(
                    f"select columns(name -> name <> 'customer_key') from gold.{table} order by all"
                ).fetchall()
                for table in sorted(tables)
                if not table.startswith("health_")
            }


STEPS = ("sheets", "eventbrite", "airtable", "build", "publish", "sync airtable", "sync civicrm")


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Clone, Ended]]:
    clone = Clone(tmp_path_factory.mktemp("newcomer"))
    yield clone, clone.run()
    shutil.rmtree(clone.folder, ignore_errors=True)


def test_a_newcomers_run_says_what_it_is_and_what_it_did(newcomer: tuple[Clone, Ended]) -> None:
    clone, ended = newcomer
    assert ended.code == 0, ended.said
    assert ended.err == ""
    lines = ended.out.strip().splitlines()
    assert lines[0].startswith("Sandbox mode")
    assert "sandbox mode" in lines[-1]
    for step in STEPS:
        assert sum(line.startswith(f"{step}: ") for line in lines) == 1
    assert "Look at it: .venv/bin/duckdb -readonly warehouse/sandbox_marts.duckdb" in ended.said
    assert (clone.folder / "warehouse" / "sandbox").is_dir()
    assert not (clone.folder / "target").exists()


def test_no_name_and_no_email_of_the_samples_is_published(newcomer: tuple[Clone, Ended]) -> None:
    clone, _ = newcomer
    people: set[str] = set()
    with (ROOT / "data" / "sample" / "customers.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            people |= {
                text.strip()
                for text in (row.get("name"), row.get("email"))
                if (text and " " in text) or "@" in (text or "")
            }
    with duckdb.connect(str(clone.folder / "warehouse" / "sandbox.duckdb"), read_only=True) as connection:
        buyers = "select buyer_name, buyer_email from silver.orders where source = 'eventbrite'"
        for name, email in connection.execute(buyers).fetchall():
            people |= {text for text in (name, email) if text}
    assert len(people) > 1000
    # Text as a reader gets it, compression undone, and the bytes as they lie.
    published = json.dumps(list(clone.marts().values()), default=str)
    raw = (clone.folder / "warehouse" / "sandbox_marts.duckdb").read_bytes().decode("latin-1")
    assert [person for person in people if person in published or person in raw] == []


def test_orders_travel_to_an_airtable_base_once(newcomer: tuple[Clone, Ended]) -> None:
    clone, _ = newcomer
    base, written = base_of(clone), written_by(clone)
    path = clone.folder / "warehouse" / "sandbox.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        for table, model, key, of_people in (
            ("Venues", "venues", "venue_key", 1),
            ("Events", "events", "event_key", 0),
            ("Ticket Sales", "ticket_sales", "ticket_sale_key", 0),
        ):
            held = [record["fields"].get("boxoffice key") for record in base[table]]
            rows = connection.execute(f"select {key} from sync.sync_airtable__{model}").fetchall()
            assert held.count(None) == of_people
            assert sorted(key for key in held if key) == sorted(key for (key,) in rows)
            creates, adopts = written[1, table, "create"], written.get((1, table, "adopt"), (0, 0))
            assert creates[1] + adopts[1] == len(rows)
            assert (creates[0], adopts[0]) == (math.ceil(creates[1] / 10), math.ceil(adopts[1] / 10))
        assert written[1, "Venues", "adopt"][1] == 3  # begun by hand, found by name
        money = connection.execute(
            "select sum(gross_amount), sum(ticket_count) from sync.sync_airtable__ticket_sales"
        ).fetchone()
    sales = [record["fields"] for record in base["Ticket Sales"]]
    assert money == (
        sum(Decimal(repr(sale["Gross"])) for sale in sales),
        sum(sale["Tickets"] for sale in sales),
    )
    shows = {record["id"]: record["fields"]["boxoffice key"] for record in base["Events"]}
    assert all(shows[link] for sale in sales for link in sale.get("Event", ()))


def test_a_second_run_finds_nothing_new(newcomer: tuple[Clone, Ended]) -> None:
    clone, _ = newcomer
    before, people = clone.marts(), customers(clone)
    base, written = base_of(clone), written_by(clone)
    # A column of one's own in a mapping, which the table made by the first run has not.
    mapping = clone.folder / "sandbox" / "mappings" / "event_links.csv"
    mapping.write_text("eventbrite_event_id,sheets_event_id,note\n", encoding="utf-8")
    document = clone.run("--json").document
    steps = {step["name"]: step for step in document["steps"]}
    assert document["exit_code"] == 0
    assert [steps[source]["changed"] for source in ("sheets", "eventbrite", "airtable")] == [0, 0, 0]
    assert clone.marts() == before
    assert customers(clone) == people
    sync = steps["sync airtable"]
    assert (sync["status"], sync["changed"], sync["rejected"], sync["requests"]) == ("ok", 0, 0, 1)
    sync = steps["sync civicrm"]
    assert (sync["status"], sync["changed"], sync["rejected"], sync["requests"]) == ("ok", 0, 0, 0)
    assert sync["landed"] > 100
    assert (base_of(clone), written_by(clone)) == (base, written)


ROOMS = """model,column,airtable
venues,,Rooms
venues,venue_name,Room
venues,city,Town
venues,region,State / region
venues,capacity,fld2WsywKJ5zzF4m1
"""


@pytest.mark.slow
def test_one_base_can_be_source_and_destination_for_ever(
    newcomer: tuple[Clone, Ended], tmp_path: Path
) -> None:
    clone = Clone(tmp_path / "rooms")
    mappings = clone.folder / "sandbox" / "mappings"
    (mappings / "airtable_fields.csv").write_text(ROOMS, encoding="utf-8")
    (mappings / "settings.csv").write_text("destination,name,value\nairtable,create_options,yes\n")
    ended = clone.run()
    assert ended.code == 0, ended.said
    base, conformed = base_of(clone), conformed_of(clone)
    assert conformed == conformed_of(newcomer[0])
    # People's rooms that Eventbrite knows are the same rows still, and theirs alone stay alone.
    assert written_by(clone)[1, "Rooms", "adopt"] == (1, 6)
    assert [room["fields"].get("boxoffice key") for room in base["Rooms"]].count(None) == 2
    for _ in range(4):
        (step,) = (step for step in clone.run("--json").document["steps"] if step["name"] == "sync airtable")
        assert (step["status"], step["changed"], step["requests"]) == ("ok", 0, 1)
        assert (base_of(clone), conformed_of(clone)) == (base, conformed)
    shutil.rmtree(clone.folder)


def conformed_of(clone: Clone) -> dict[str, int]:
    """Rows of each conformed table."""
    path = clone.folder / "warehouse" / "sandbox.duckdb"
    names = sorted(path.stem for path in (clone.folder / "models" / "silver" / "conformed").glob("*.sql"))
    with duckdb.connect(str(path), read_only=True) as connection:
        counts = {
            name: connection.execute(f"select count(*) from silver.{name}").fetchone() for name in names
        }
    return {name: count for name, (count,) in counts.items()}


GUIDE = (ROOT / "docs" / "airtable.md").read_text(encoding="utf-8")


def test_what_the_guide_asks_in_sql_is_answered(newcomer: tuple[Clone, Ended]) -> None:
    path = newcomer[0].folder / "warehouse" / "sandbox.duckdb"
    (block,) = re.findall(r"```sql\n(.*?)```", GUIDE, re.DOTALL)
    with duckdb.connect(str(path), read_only=True) as connection:
        wanted, refused, sent, calls = (
            connection.execute(query).fetchall() for query in block.split(";") if query.strip()
        )
    assert (len(wanted), len(refused), len(sent)) == (1, 0, 1)
    assert {(table, operation, state) for table, operation, state, *_ in calls} == {
        ("Venues", "adopt", "answered"),
        *((table, "create", "answered") for table in ("Venues", "Events", "Ticket Sales")),
    }


@pytest.mark.slow
def test_a_table_of_ones_own_is_a_model_and_no_more(newcomer: tuple[Clone, Ended], tmp_path: Path) -> None:
    clone = Clone(tmp_path / "own")
    shutil.copytree(newcomer[0].folder / "warehouse", clone.folder / "warehouse")
    (block,) = (each for each in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL) if "artists" in each)
    folder = clone.folder / "models" / "sync"
    (folder / "sync_airtable__artists.yml").write_text(block, encoding="utf-8")
    query = "select artist_name, artist_key from {{ ref('dim_artist') }}"
    (folder / "sync_airtable__artists.sql").write_text(query, encoding="utf-8")
    for words in (("boxoffice", "build", "gold"), ("reverse_etl", "--bootstrap"), ("reverse_etl",)):
        ended = clone.python("-m", *words)
        assert ended.code == 0, ended.said
    with duckdb.connect(str(clone.folder / "warehouse" / "sandbox.duckdb"), read_only=True) as connection:
        artists = connection.execute("select artist_name, artist_key from gold.dim_artist").fetchall()
    held = [record["fields"] for record in base_of(clone)["Artists"]]
    assert {(each.get("Artist"), each["boxoffice key"]) for each in held} == set(artists)
    assert len(held) == len(artists) > 10
    shutil.rmtree(clone.folder)


def base_of(clone: Clone) -> dict[str, list[dict[str, Any]]]:
    """The stand-in's base: table to its records."""
    shown = json.loads(clone.python("-m", "sandbox", "show", "airtable", "--json").out)
    return shown[0]["tables"]


def written_by(clone: Clone) -> dict[tuple[int, str, str], tuple[int, int]]:
    """Run, table and operation to calls and rows, as the journal has them."""
    with sqlite3.connect(clone.folder / "warehouse" / "sandbox_ops.sqlite") as connection:
        rows = connection.execute(
            "select run_id, table_name, operation, count(*), sum(row_count) from journal"
            " where state = 'answered' group by 1, 2, 3"
        )
        return {(run, table, operation): (calls, count) for run, table, operation, calls, count in rows}


def customers(clone: Clone) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(clone.folder / "warehouse" / "sandbox_marts.duckdb"), read_only=True) as marts:
        return marts.execute("select ticket_key, customer_key from gold.fact_tickets order by 1").fetchall()


def test_forgetting_people_takes_them_out_everywhere_and_changes_no_number(
    newcomer: tuple[Clone, Ended],
) -> None:
    clone, _ = newcomer
    path = clone.folder / "warehouse" / "sandbox.duckdb"
    before = clone.marts()
    with duckdb.connect(str(path), read_only=True) as connection:
        # A buyer of that name whom no other e-mail shares.
        ((name, email),) = connection.execute(
            """
            select buyer_name, trim(buyer_email) from silver.orders as orders
            where buyer_email like '%@%' and not exists (
                select 1 from bronze_eventbrite.attendees where contains(payload, orders.buyer_name)
                and not contains(lower(payload), '"' || lower(trim(orders.buyer_email)) || '"')
            ) and buyer_name not in (select name from bronze_sheets.customers)
            order by gross_amount desc, order_key limit 1
            """
        ).fetchall()
        ((address,),) = connection.execute(
            "select email from bronze_sheets.customers where email like '%@%' order by _record limit 1"
        ).fetchall()
    with duckdb.connect(str(path), read_only=True) as connection:
        linked = connection.execute(
            "select source, person_id, person_key from silver.person_links where person_key in"
            " (select person_key from silver.people where email = lower(?))",
            [email],
        ).fetchall()
    assert set(linked) <= identities_of(clone)
    for word in (name, email):
        assert {"bronze_eventbrite.orders", "silver.orders"} <= tables_with(path, word)
    assert "bronze_sheets.customers" in tables_with(path, address)
    assert {name, email} <= told_to_airtable(clone)

    assert clone.python("-c", KILLED_BEFORE_BLANKING, "forget", address).code == -signal.SIGKILL
    assert "bronze_sheets.customers" in tables_with(path, address)
    ended = clone.python("-m", "boxoffice", "forget", f" {email.upper()} ", address, email, "--json")
    assert ended.code == 0, ended.said
    assert email.lower() not in ended.said.lower()
    done = ended.document["forgotten"]
    assert (done["asked"], done["new"]) == (3, 1)
    assert done["rows_blanked"] >= 4
    assert [tables_with(path, word) for word in (name, email, address)] == [set()] * 3
    # Nor do keys tell any more which orders and customers were of one person.
    assert linked
    assert [row for row in linked if row in identities_of(clone)] == []
    raw = path.read_bytes().lower()
    assert [word for word in (name, email, address) if word.lower().encode() in raw] == []
    after = clone.marts()
    assert len(before.pop("dim_customer")) - len(after.pop("dim_customer")) in (1, 2)
    assert after == before
    # Both sources still hold them.
    assert clone.run("--full").code == 0
    assert [tables_with(path, word) for word in (name, email, address)] == [set()] * 3
    # What was written to Airtable is emptied there, and the ops file does not keep it either.
    assert not {name, email} & told_to_airtable(clone)
    for file in (clone.folder / "warehouse").glob("sandbox_ops.sqlite*"):
        raw = file.read_bytes().lower()
        assert [word for word in (name, email, address) if word.lower().encode() in raw] == []
    after = clone.marts()
    after.pop("dim_customer")
    assert after == before


def told_to_airtable(clone: Clone) -> set[str]:
    """Names and e-mails in the base's sales."""
    sales = [record["fields"] for record in base_of(clone)["Ticket Sales"]]
    return {sale[field].strip() for sale in sales for field in ("Buyer", "E-mail") if field in sale}


def identities_of(clone: Clone) -> set[tuple[str, str, str]]:
    """Source, id and key of the records that tell of people, as the ops file has them."""
    with sqlite3.connect(clone.folder / "warehouse" / "sandbox_ops.sqlite") as connection:
        rows = connection.execute("select source, id, key from identities where kind = 'person'")
        return {(source, id, key) for source, id, key in rows}


def tables_with(path: Path, word: str) -> set[str]:
    """The tables of the warehouse, of all schemas, that hold the word in some text."""
    found = set()
    with duckdb.connect(str(path), read_only=True) as connection:
        columns = connection.execute(
            "select schema_name || '.' || table_name, column_name from duckdb_columns()"
            " where data_type = 'VARCHAR' and not internal"
        ).fetchall()
        for table, column in columns:
            sql = f"""select 1 from {table} where contains(lower("{column}"), lower(?)) limit 1"""
            if connection.execute(sql, [word]).fetchall():
                found.add(table)
    return found


def test_what_is_no_email_is_refused_without_repeating_it(command: Command, tmp_path: Path) -> None:
    ended = command("-m", "boxoffice", "forget", "ann@example.org", "Ann Chovy")
    assert ended.code == 2
    assert "Word 2 after `forget` is no e-mail address" in ended.said
    assert "Chovy" not in ended.said
    with sqlite3.connect(tmp_path / "data" / "ops.sqlite") as store:
        assert store.execute("select count(*) from forgotten").fetchone() == (0,)


@pytest.mark.slow
def test_killed_after_any_step_the_next_run_ends_as_if_nothing_had_been(
    newcomer: tuple[Clone, Ended], tmp_path: Path
) -> None:
    clone = Clone(tmp_path / "killed")
    for step in STEPS:
        assert clone.python("-c", KILLED_AFTER, step, "run").code == -signal.SIGKILL
    assert clone.run().code == 0
    assert clone.marts() == newcomer[0].marts()
    with duckdb.connect(str(clone.folder / "warehouse" / "sandbox.duckdb"), read_only=True) as connection:
        runs = connection.execute("select status from ops.runs order by run_id").fetchall()
    assert [status for (status,) in runs] == ["killed"] * len(STEPS) + ["ok"]


def test_a_source_that_fails_stops_neither_build_nor_publishing(command: Command, tmp_path: Path) -> None:
    sheets = tmp_path / "sheets"
    shutil.copytree(ROOT / "data" / "sample", sheets, dirs_exist_ok=True)
    (sheets / "venues.csv").write_text("venue_id,city\n1,Berlin\n")
    ended = command("-m", "boxoffice", "run", "--json")
    document = ended.document
    assert ended.code == document["exit_code"] == 1
    steps = [step["name"] for step in document["steps"]]
    assert steps == list(STEPS)
    assert any("venues.csv" in problem["problem"] for problem in document["problems"])
    assert (tmp_path / "data" / "marts.duckdb").is_file()


@pytest.mark.slow
def test_given_keys_outlive_the_warehouse(command: Command, tmp_path: Path) -> None:
    sheets, warehouse = tmp_path / "sheets", tmp_path / "data" / "warehouse.duckdb"
    shutil.copytree(ROOT / "data" / "sample", sheets, dirs_exist_ok=True)
    assert command("-m", "boxoffice", "run").code == 0
    before = links(warehouse)
    with sqlite3.connect(tmp_path / "data" / "ops.sqlite") as store:
        # As if they had been another source's, which no longer lists them.
        for kind in ("venue", "person"):
            store.execute(
                "update identities set key = 'eventbrite-' || kind where kind = ? and key ="
                " (select min(key) from identities where kind = ?)",
                (kind, kind),
            )
    warehouse.unlink()
    assert command("-m", "boxoffice", "run").code == 0
    first = {kind: min(key for of, _, _, key in before if of == kind) for kind in ("venue", "person")}
    assert links(warehouse) == {
        (kind, source, id, f"eventbrite-{kind}" if key == first[kind] else key)
        for kind, source, id, key in before
    }


def links(warehouse: Path) -> set[tuple[str, ...]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return set(
            connection.execute(
                "select 'venue', source, venue_id, venue_key from silver.venue_links union all"
                " select 'person', source, person_id, person_key from silver.person_links"
            ).fetchall()
        )


def test_a_wrong_token_is_named_but_not_shown(command: Command, tmp_path: Path) -> None:
    serve = [sys.executable, "-m", "sandbox", "serve", "--port", "0"]
    serve += ["--state", str(tmp_path / "state"), "--attendees", "20"]
    with subprocess.Popen(
        serve, cwd=ROOT, env=dict(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["eventbrite"]
        environ = {"EVENTBRITE_TOKEN": TOKEN, "EVENTBRITE_API_URL": url}
        ended = command("-m", "ingest", "eventbrite", environ=environ)
        server.terminate()
    assert ended.code == 1
    assert "EVENTBRITE_TOKEN" in ended.said
    assert "API error 1" in ended.said
    assert TOKEN not in ended.said
    with sqlite3.connect(tmp_path / "data" / "ops.sqlite") as store:
        texts = store.execute("select request, response, stack from api_errors").fetchall()
    assert [request for request, _, _ in texts] == ["GET /v3/users/me/organizations/"]
    assert texts[0][1].startswith("401\n")
    assert "ingest/eventbrite.py" in texts[0][2]
    assert "GET /v3" not in ended.said
    for file in (tmp_path / "data").glob("ops.sqlite*"):
        assert TOKEN.encode() not in file.read_bytes()
    with duckdb.connect(str(tmp_path / "data" / "warehouse.duckdb"), read_only=True) as connection:
        kept = connection.execute("select api_error_id, system, rule_id from ops.api_errors").fetchall()
    assert kept == [(1, "eventbrite", "TokenRefused")]


def test_a_missing_folder_is_named(command: Command, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    ended = command("-m", "ingest", "sheets", environ={"SHEETS_DIR": str(missing)})
    assert ended.code in (1, 2)
    assert str(missing) in ended.said
