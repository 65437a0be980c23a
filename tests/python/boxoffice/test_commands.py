"""Commands as a person or cron meets them: one clear sentence and the exit code for each kind of trouble."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from boxoffice import log, ops
from boxoffice import settings as settings_module
from boxoffice.errors import BoxofficeError, explained
from boxoffice.session import Session, conduct
from boxoffice.settings import Settings
from tests.python.boxoffice.conftest import Command, process_environment

# The shortest command inside the whole frame: settings, lock, ops file, warehouse, summary.
FRAME = (
    "-c",
    "import sys; from boxoffice.session import conduct\n"
    "body = lambda session: session.headlines.append('All is well.')\n"
    "sys.exit(conduct('look', body, as_json='--json' in sys.argv))",
)


def mounted(folder: Path, options: str, then: str = "true") -> tuple[str, ...]:
    """A launcher that mounts a small disk of its own at `folder`, seen by that process alone."""
    unshare = shutil.which("unshare")
    rights = ("--mount",) if os.geteuid() == 0 else ("--mount", "--map-root-user")
    script = f'mount -t tmpfs -o {options} none "{folder}" && {then} && exec "$@"'
    launcher = (unshare or "unshare", *rights, "sh", "-c", script, "sh")
    folder.mkdir(exist_ok=True)
    if unshare is None or subprocess.run([*launcher, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk; test_trouble_is_explained covers the words")
    return launcher


def test_all_is_well(command: Command) -> None:
    ended = command(*FRAME)
    assert ended.code == 0
    assert ended.err == ""
    assert ended.out == "All is well.\n"


def test_json_prints_one_document_and_nothing_else(command: Command) -> None:
    document = command(*FRAME, "--json").document
    assert (document["command"], document["exit_code"], document["problems"]) == ("look", 0, [])
    refused = command(*FRAME, "--json", environ={"DATABASE_URL": "mysql://host/shop"})
    assert refused.code == refused.document["exit_code"] == 2
    assert refused.document["problems"][0]["remedy"].startswith("Write duckdb:///")


@pytest.mark.parametrize("words", [("boxoffice",), ("boxoffice", "run"), ("boxoffice", "build"), ("ingest",)])
def test_every_command_has_help(command: Command, words: tuple[str, ...]) -> None:
    ended = command("-m", *words, "--help")
    assert ended.code == 0
    assert ended.out.startswith("Usage: python -m ")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://ann:hunter2@host/shop", "DATABASE_URL starts with 'mysql'"),
        ("warehouse.duckdb", "not an address that boxoffice knows"),
        ("ann:hunter2@host/shop", "not an address that boxoffice knows"),
        ("hunter2://host/shop", "not an address that boxoffice knows"),
        ("duckdb://", "DATABASE_URL names no file"),
        ("duckdb://ann:hunter2@host/shop", "DATABASE_URL names no file"),
        ("duckdb:///:memory:", "DATABASE_URL names no file"),
        ("duckdb:///warehouse.duckdb?access_mode=read_only", "DATABASE_URL names no file"),
        ("duckdb:////tmp/ops.sqlite", "no source can bring back"),
        ("duckdb:////tmp", "DATABASE_URL is /tmp, which is a folder"),
        ("duckdb:////proc/nowhere/warehouse.duckdb", "/proc/nowhere"),
    ],
)
def test_a_bad_database_url_is_refused(command: Command, url: str, words: str) -> None:
    ended = command(*FRAME, environ={"DATABASE_URL": url})
    assert ended.code == 2
    assert words in ended.said
    assert "hunter2" not in ended.said


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("data/warehouse.duckdb", "the warehouse itself"),
        ("data/../data/warehouse.duckdb", "the warehouse itself"),
        ("linked.duckdb", "the warehouse itself"),
        ("data/ops.sqlite", "no source can bring back"),
        ("sheets", "a folder"),
        ("report.txt", "a file of another kind"),
        ("report.txt/marts.duckdb", "where nothing can be written"),
        ("../../../../../../../../proc/marts.duckdb", "where nothing can be written"),
    ],
)
def test_marts_are_never_published_over_something_else(
    command: Command, tmp_path: Path, path: str, words: str
) -> None:
    (tmp_path / "report.txt").write_text("Somebody's work of a year.")
    (tmp_path / "linked.duckdb").symlink_to(tmp_path / "data" / "warehouse.duckdb")
    ended = command(*FRAME, environ={"MARTS_PATH": str(tmp_path / path)})
    assert ended.code == 2
    assert f"MARTS_PATH is {tmp_path / path}, " in ended.said
    assert words in ended.said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "does not begin with its header"),
        (b"eventbrite_event_id;sheets_event_id\n1;2\n", "does not begin with its header"),
        (b"eventbrite_event_id,sheets_event\n1,2\n", "does not begin with its header"),
        (b"eventbrite_event_id,sheets_event_id\n1,2\n3,4,5\n", "line 3, has 3 cells, not 2"),
        (b"eventbrite_event_id,sheets_event_id\n1,caf\xe9\n", "not a CSV file in UTF-8"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_named_before_any_work(
    command: Command, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "maps" / "event_links.csv"
    path.parent.mkdir()
    if content is not None:
        path.write_bytes(content)
    for name in ("run", "build", "docs") if content is None else ("run",):
        ended = command("-m", "boxoffice", name, environ={"MAPPINGS_DIR": str(path.parent)})
        assert ended.code == 2, ended.said
        assert str(path) in ended.said
        assert words in ended.said


def test_a_build_of_nothing_says_what_comes_first(command: Command) -> None:
    for layer, first in (("silver", "make bronze"), ("gold", "make silver")):
        ended = command("-m", "boxoffice", "build", layer)
        assert ended.code == 2
        assert f"`{first}` comes first" in ended.said


def test_a_warehouse_older_than_a_source_is_built_all_the_same(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    warehouse = str(tmp_path / "data" / "warehouse.duckdb")
    with duckdb.connect(warehouse) as connection:
        connection.execute("create schema bronze_sheets")
        connection.execute("create table bronze_sheets.venues (venue_id varchar, name varchar, city varchar)")
        connection.execute("insert into bronze_sheets.venues values ('1', 'Hall', 'Ghent')")
    ended = command("-m", "boxoffice", "build", "silver")
    assert ended.code == 0, ended.said
    with duckdb.connect(warehouse, read_only=True) as connection:
        assert connection.execute("select venue_key, city from silver.venues").fetchall() == [
            ("sheets-1", "Ghent")
        ]


def test_a_warehouse_held_by_another_program_is_named(command: Command, tmp_path: Path) -> None:
    assert command(*FRAME).code == 0
    path = tmp_path / "data" / "warehouse.duckdb"
    script = (
        f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "open\n"
        ended = command(*FRAME)
        shell.communicate("")
    assert ended.code == 2
    assert f"{path} is open in another program" in ended.said
    assert f"process {shell.pid}" in ended.said
    assert "marts file" in ended.said


def test_a_file_that_is_no_warehouse_is_named(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "data" / "warehouse.duckdb"
    path.parent.mkdir()
    path.write_text("id,name\n" * 9999)
    ended = command(*FRAME)
    assert ended.code == 2
    assert f"{path} is not a DuckDB file" in ended.said


def test_a_read_only_disk_is_named(command: Command, tmp_path: Path) -> None:
    data = tmp_path / "data"
    ended = command(*FRAME, before=mounted(data, "size=16m", then=f'mount -o remount,ro "{data}"'))
    assert ended.code == 2
    assert f"{data}/ops.lock cannot be written" in ended.said


def test_a_full_disk_is_named(command: Command, tmp_path: Path) -> None:
    ended = command(*FRAME, before=mounted(tmp_path / "data", "size=40k"))
    assert ended.code == 2
    assert "The disk is full" in ended.said


def test_two_at_once_the_second_is_refused(command: Command, tmp_path: Path) -> None:
    assert command(*FRAME).code == 0
    lock = tmp_path / "data" / "ops.lock"
    script = (
        "import sys; from pathlib import Path; from boxoffice import lock\n"
        f"with lock.held(Path({str(lock)!r}), 'run', wait_seconds=0):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    environ = process_environment(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        # An hour to wait, which a second run does not use.
        ended = command("-m", "boxoffice", "run", environ={"LOCK_WAIT_SECONDS": "3600"})
        other.communicate("")
    assert ended.code == 2
    assert "Another command is at work: `run`" in ended.said
    assert f"process {other.pid}" in ended.said


def test_a_newer_ops_file_is_refused(command: Command, tmp_path: Path) -> None:
    import sqlite3

    assert command(*FRAME).code == 0
    with sqlite3.connect(tmp_path / "data" / "ops.sqlite") as connection:
        connection.execute("pragma user_version = 99")
    ended = command(*FRAME)
    assert ended.code == 2
    assert "newer boxoffice" in ended.said


def test_forget_leaves_nobody_in_the_copies_of_the_ops_file(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with sqlite3.connect(folder / "ops.sqlite") as connection:
        connection.executescript(
            f"{ops.MIGRATIONS[0]} pragma user_version = 1; insert into salt values ('{'0' * 32}');"
            " insert into api_errors (failed_at, system, rule_id, response)"
            " values ('2026-03-01 12:00:00', 'eventbrite', 'Unavailable', 'Ann Chovy, ann@example.org');"
        )
    connection.close()
    assert command(*FRAME).code == 0
    (copy,) = folder.glob("ops.sqlite.v*.bak")
    copy.with_name("ops.sqlite.v0.bak").write_bytes(copy.read_bytes())
    with sqlite3.connect(copy) as connection:  # somebody looked into it, and left its log
        connection.execute("pragma journal_mode = wal")
        ended = command("-m", "boxoffice", "forget", "ann@example.org", "--json")
    connection.close()
    assert ended.code == 0, ended.said
    assert ended.document["forgotten"]["copies_removed"] == 2
    assert "2 older copies of" in ended.document["notes"][0]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path.name for path in files if b"chovy" in path.read_bytes().lower()] == []
    assert [path.name for path in files if ".bak" in path.name] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_says_so(tmp_path: Path, number: signal.Signals) -> None:
    script = (
        "import os, signal, sys\n"
        "from boxoffice.session import conduct\n"
        # Whoever starts the tests in the background lets them ignore Ctrl-C.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def body(session):\n"
        f"    with session.step('long'): os.kill(os.getpid(), {int(number)})\n"
        "sys.exit(conduct('run', body))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={**process_environment(tmp_path), "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 130
    assert "Traceback" not in ended.stderr
    assert "Stopped. Run it again" in ended.stdout


def test_a_stop_that_a_library_swallows_ends_the_command_at_the_next_step(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_module, "load", lambda: settings)
    monkeypatch.setattr(log, "set_up", lambda settings: None)
    done = []

    def body(session: Session) -> None:
        with session.step("one"), suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with session.step("two"):
            done.append("two")

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert conduct("run", body) == 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert done == []
    assert "Stopped. Run it again" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "No space left on device", "/disk/file"), "The disk is full at /disk/file"),
        (OSError(122, "Disk quota exceeded", "/disk/file"), "The disk is full at /disk/file"),
        (OSError(30, "Read-only file system", "/disk/file"), "read-only"),
        (PermissionError(13, "Permission denied", "/disk/file"), "Permission is missing at /disk/file"),
        (
            RuntimeError('IO Error: Could not write file "/d/a.duckdb": No space left on device'),
            "full at /d/a.duckdb",
        ),
        (RuntimeError("attempt to write a readonly database"), "read-only"),
        (RuntimeError("database or disk is full"), "The disk is full"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_trouble_is_explained_however_deep_it_lies(error: Exception, words: str) -> None:
    outer = ValueError("the step failed")
    outer.__cause__ = error
    known = explained(outer)
    assert isinstance(known, BoxofficeError)
    assert words in known.problem
    assert known.remedy


def test_a_bug_is_not_explained_away() -> None:
    assert explained(ValueError("unexpected keyword")) is None


def test_colour_never_reaches_a_pipe(command: Command, tmp_path: Path) -> None:
    for environ in ({}, {"NO_COLOR": "1"}):
        ended = command("-m", "ingest", "sheets", environ=environ)
        assert "\x1b[" not in ended.out + ended.err
