"""`status` and `doctor` as a person meets them: how it is, what is set up wrong, and the fix."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boxoffice import ops
from boxoffice.settings import ROOT
from tests.python.boxoffice.conftest import Command, process_environment
from tests.python.ingest.eventbrite_server import ORG, TOKEN, Eventbrite, always, error, serving

DOCTOR = ("-m", "boxoffice", "doctor")
STATUS = ("-m", "boxoffice", "status")


@pytest.fixture
def sheets(tmp_path: Path) -> Path:
    folder = tmp_path / "sheets"
    shutil.copytree(ROOT / "data" / "sample", folder)
    return folder


@pytest.fixture
def eventbrite() -> Iterator[tuple[Eventbrite, dict[str, str]]]:
    server = Eventbrite()
    with serving(server) as url:
        yield server, {"EVENTBRITE_TOKEN": TOKEN, "EVENTBRITE_API_URL": url}


def test_doctor_finds_nothing_where_all_is_well(
    command: Command, sheets: Path, eventbrite: tuple[Eventbrite, dict[str, str]]
) -> None:
    ended = command(*DOCTOR, environ=eventbrite[1])
    assert ended.code == 0, ended.said
    assert (
        f"eventbrite: ok: Organization {ORG} (Example Hall) shows 2 events, 3 orders, 3 attendees"
        in ended.said
    )
    assert "artists.csv" in ended.said
    assert ended.out.endswith("All is well.\n")
    assert not (sheets.parent / "data").exists(), "doctor only looks"


def test_doctor_names_each_thing_that_is_wrong(
    command: Command, sheets: Path, eventbrite: tuple[Eventbrite, dict[str, str]], tmp_path: Path
) -> None:
    (sheets / "venues.csv").unlink()
    (sheets / "artists.csv").write_text("artist_id,name,genre,created_at\n")
    mappings = tmp_path / "mappings"
    shutil.copytree(ROOT / "seeds" / "mappings", mappings)
    (mappings / "event_links.csv").write_text("eventbrite,sheets\n1,2\n")
    server, environ = eventbrite
    server.faults = [always("attendees", error(403, "NOT_AUTHORIZED"))]
    ended = command(*DOCTOR, environ={**environ, "MAPPINGS_DIR": str(mappings)})
    assert ended.code == 1
    for words in (
        "venues.csv is missing",
        "lacks the column country",
        "event_links.csv does not begin with its header.",
        "must hold eventbrite_event_id,sheets_event_id",
        "attendees",
        "2 events, 3 orders.",
        "4 to mend.",
    ):
        assert words in ended.said
    assert TOKEN not in ended.said


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"EVENTBRITE_TOKEN": "WRONG99"}, "EVENTBRITE_TOKEN is refused"),
        ({"EVENTBRITE_ORGANIZATION_ID": "77"}, "EVENTBRITE_ORGANIZATION_ID is 77"),
        ({"EVENTBRITE_API_URL": "http://127.0.0.1:9/v3"}, "did not answer"),
    ],
)
def test_doctor_says_what_eventbrite_refuses(
    command: Command,
    sheets: Path,
    eventbrite: tuple[Eventbrite, dict[str, str]],
    environ: dict[str, str],
    words: str,
) -> None:
    server, usual = eventbrite
    if environ.get("EVENTBRITE_TOKEN"):
        server.faults = [always("organizations", error(401, "INVALID_AUTH"))]
    document = command(*DOCTOR, "--json", environ={**usual, **environ}).document
    assert document["exit_code"] == 1
    wrong = [found for found in document["findings"] if found["state"] == "wrong"]
    assert [found["system"] for found in wrong] == ["eventbrite"]
    assert words in wrong[0]["what"]
    assert "WRONG99" not in str(document)


def test_doctor_does_not_wait_for_the_next_hour(
    command: Command, sheets: Path, eventbrite: tuple[Eventbrite, dict[str, str]]
) -> None:
    server, environ = eventbrite
    server.used = 2100
    server.faults = [always("organizations", error(429, "HIT_RATE_LIMIT", **{"retry-after": "1800"}))]
    ended = command(*DOCTOR, environ=environ)
    assert ended.code == 1
    assert "takes no more calls for 30 minutes" in ended.said


def test_doctor_names_a_setting_that_cannot_be_used(command: Command) -> None:
    ended = command(*DOCTOR, environ={"SHEETS_TIMEZONE": "Mars/Olympus"})
    assert ended.code == 2
    assert "SHEETS_TIMEZONE" in ended.said


def test_status_before_anything_ran(command: Command, tmp_path: Path) -> None:
    ended = command(*STATUS)
    assert (ended.code, ended.out) == (0, "Nothing has run yet: `make run` does it all.\n")
    assert not (tmp_path / "data").exists(), "status only looks"


def test_status_tells_runs_freshness_rejects_and_calls(
    command: Command, sheets: Path, eventbrite: tuple[Eventbrite, dict[str, str]]
) -> None:
    server, environ = eventbrite
    assert command("-m", "ingest", environ=environ).code == 0
    before = command(*STATUS, "--json").document
    assert before["exit_code"] == 0
    assert [(run["command"], run["status"]) for run in before["runs"]] == [("ingest", "ok")]
    landed = {source["source"]: source for source in before["sources"]}
    assert landed["sheets"]["rows_rejected"] == 2
    [calls] = before["calls"]
    assert calls["api"] == "eventbrite"
    assert calls["last_hour"] == calls["today"] == calls["this_month"] == len(server.requests)

    server.faults = [always("organizations", error(401, "INVALID_AUTH"))]
    assert command("-m", "ingest", "eventbrite", environ=environ).code == 1
    ended = command(*STATUS, "--json")
    assert ended.code == 1, "a source that failed needs a look"
    after = {source["source"]: source for source in ended.document["sources"]}["eventbrite"]
    assert (after["status"], after["landed_at"]) == ("failed", landed["eventbrite"]["landed_at"])
    assert ended.document["api_errors"] == 1


def test_status_tells_what_was_written_back(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with ops.opened(tmp_path / "data" / "ops.sqlite") as store:
        for name, status, calls in (
            ("run", "ok", 5),
            ("run", "failed", 2),
            ("plan", "ok", 1),
            ("run", "skipped", None),
        ):
            run_id = store.begin_run(name, datetime(2026, 3, 1, tzinfo=UTC), is_sandbox=False)
            store.add_step(
                run_id, "sync airtable", status=status, seconds=1.0, rows=(9, 9, 0), requests=calls
            )
            store.end_run(run_id, status="ok", exit_code=0, seconds=1.0)
            store.connection.execute(
                "update runs set started_at = datetime('now', 'start of month', ? || ' seconds')"
                " where run_id = ?",
                (run_id, run_id),
            )
        store.connection.executemany(
            "insert into rejected_rows values ('airtable', 'app1', 'tbl1', 'Events', ?, null, null, 'option',"
            " '', '', 1, '', '', ?)",
            [("a", None), ("b", None), ("c", "2026-03-01")],
        )
        store.connection.commit()
    ended = command(*STATUS, "--json")
    [found] = ended.document["destinations"]
    assert found["written_at"] < found["tried_at"]
    assert found["written_at"].endswith(":01")
    assert (found["destination"], found["status"]) == ("airtable", "ok")
    assert (found["rows_refused"], found["rows_waiting"]) == (2, 0)
    [calls] = ended.document["calls"]
    assert (calls["api"], calls["this_month"]) == ("airtable", 8)
    assert "Destination" in command(*STATUS).said


def test_status_tells_of_calls_by_hour_day_and_month(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with ops.opened(tmp_path / "data" / "ops.sqlite") as store:
        for run, step, ago, calls in (
            ("listen", "eventbrite", "-10 minutes", 3),
            ("run", "eventbrite", "-30 minutes", 20),
            ("run", "eventbrite", "-70 minutes", 500),
            ("run", "airtable", "-5 minutes", 7),
            ("listen", "sync airtable", "-5 minutes", 2),
            ("run", "sync civicrm", "-50 days", 90),
            ("run", "sheets", "-5 minutes", None),
        ):
            run_id = store.begin_run(run, datetime(2026, 3, 1, tzinfo=UTC), is_sandbox=False)
            store.add_step(run_id, step, status="ok", seconds=1.0, rows=(9, 9, 0), requests=calls)
            store.end_run(run_id, status="ok", exit_code=0, seconds=1.0)
            with store.connection as connection:
                connection.execute(
                    "update runs set started_at = datetime('now', ?) where run_id = ?", (ago, run_id)
                )
        with store.connection as connection:
            connection.executemany(
                "insert into rejected_rows values"
                " ('civicrm', 's', 'Participant', 'Participant', ?, null, null, ?, '', '', 1, '', '', null)",
                [("a", "G6"), ("b", "G6"), ("c", "G7")],
            )
    ended = command(*STATUS, "--json")
    assert {each["api"]: each["last_hour"] for each in ended.document["calls"]} == {
        "airtable": 9,
        "eventbrite": 23,
    }
    by_name = {each["destination"]: each for each in ended.document["destinations"]}
    assert (by_name["civicrm"]["rows_refused"], by_name["civicrm"]["rows_waiting"]) == (1, 2)
    # One order that a listener fetched is no landing of all that changed.
    [source] = [each for each in ended.document["sources"] if each["source"] == "eventbrite"]
    landed_at = datetime.fromisoformat(source["landed_at"]).replace(tzinfo=UTC)
    assert datetime.now(UTC) - landed_at > timedelta(minutes=20)
    said = command(*STATUS).said
    assert "Allowed" in said
    assert "2,000 an hour" in said


def test_status_tells_of_notices_until_a_run_has_brought_what_they_are_about(
    command: Command, tmp_path: Path
) -> None:
    insert = (
        "insert into inbox (received_at, headers, body, state, error, settled_at) values (?, '', '', ?, ?, ?)"
    )
    with ops.opened(tmp_path / "data" / "ops.sqlite") as store:
        store.connection.executemany(
            insert,
            [
                ("2026-03-01 12:00:00.500", "new", None, None),
                ("2026-03-01 12:00:01.500", "new", None, None),
                ("2026-03-01 11:00:00.500", "done", None, "2026-03-01 11:00:01.500"),
                ("2026-03-01 11:00:00.500", "parked", "It is poison.", "2026-03-01 11:00:02.500"),
            ],
        )
        store.connection.commit()
    ended = command(*STATUS)
    assert ended.code == 1
    assert "2 notices of Eventbrite wait, the oldest since 2026-03-01 12:00:00 UTC." in ended.said
    assert "1 could not be worked on, lastly: It is poison." in ended.said
    with ops.opened(tmp_path / "data" / "ops.sqlite") as store:
        store.connection.execute(
            "update inbox set state = 'done', settled_at = received_at where state = 'new'"
        )
        store.connection.commit()
        for name in ("listen", "run"):
            found = command(*STATUS, "--json").document["notices"]
            assert (found["waiting"], found["parked"]) == (0, 1)
            run_id = store.begin_run(name, datetime(2026, 3, 1, tzinfo=UTC), is_sandbox=False)
            store.add_step(run_id, "eventbrite", status="ok", seconds=1.0, rows=(9, 9, 0))
            store.end_run(run_id, status="ok", exit_code=0, seconds=1.0)
    ended = command(*STATUS)
    assert (ended.code, "No notice of Eventbrite waits." in ended.said) == (0, True)


def test_status_answers_while_a_command_is_at_work_and_knows_a_killed_one(
    command: Command, tmp_path: Path
) -> None:
    at_work = (
        "-c",
        "import sys; from boxoffice.session import conduct\n"
        "body = lambda session: (print('ready', flush=True), sys.stdin.read())\n"
        "sys.exit(conduct('run', body))",
    )
    with subprocess.Popen(
        [sys.executable, *at_work],
        cwd=ROOT,
        env=process_environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert f"At work: `run` (process {process.pid}" in command(*STATUS).said
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert "At work" not in command(*STATUS).said


def test_a_damaged_ops_file_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ops.sqlite").write_bytes(b"no database" * 100)
    ended = command(*STATUS)
    assert ended.code == 2
    assert "ops.sqlite is damaged" in ended.said


def test_an_ops_file_of_an_older_version_is_said_to_be_brought_up_by_a_run(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    with sqlite3.connect(tmp_path / "data" / "ops.sqlite") as connection:
        connection.execute("pragma user_version = 1")
    connection.close()
    ended = command(*STATUS)
    assert ended.code == 2
    assert "older" in ended.said
