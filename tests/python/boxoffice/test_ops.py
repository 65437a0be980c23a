"""The ops file: migrations, damage, and what the warehouse shows of it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from boxoffice import ops
from boxoffice.errors import LONGEST_TEXT, ConfigurationError, FailedCall

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ops.sqlite"
    with ops.opened(path) as store:
        store.connection.execute("pragma user_version = 99")
    with pytest.raises(ConfigurationError, match=r"newer boxoffice \(schema 99"), ops.opened(path):
        pass


def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ops.sqlite"
    path.write_bytes(b"not SQLite at all" * 999)
    with pytest.raises(ConfigurationError, match="is damaged"), ops.opened(path):
        pass
    assert path.read_bytes().startswith(b"not SQLite")


def test_an_older_file_is_copied_then_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ops.sqlite"
    with ops.opened(path) as store:
        store.begin_run("run", AS_OF, is_sandbox=False)
    held = len(ops.MIGRATIONS)
    monkeypatch.setattr(ops, "MIGRATIONS", (*ops.MIGRATIONS, "create table later (id integer);"))
    with ops.opened(path) as store:
        assert store.connection.execute("select count(*) from later").fetchone() == (0,)
        assert store.connection.execute("select count(*) from runs").fetchone() == (1,)
    backup = tmp_path / f"ops.sqlite.v{held}.bak"
    assert [each.stat().st_mode & 0o777 for each in (path, backup)] == [0o600, 0o600]
    with sqlite3.connect(backup) as copy:
        assert copy.execute("pragma user_version").fetchone() == (held,)
        assert copy.execute("select count(*) from runs").fetchone() == (1,)


def test_writes_of_before_links_to_civicrm_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ops.sqlite"
    released = ops.MIGRATIONS
    before = next(place for place, each in enumerate(released) if "civicrm_links" in each)
    monkeypatch.setattr(ops, "MIGRATIONS", released[:before])
    with ops.opened(path) as store, store.connection as connection:
        connection.execute(
            "insert into journal (run_id, destination, base_id, table_id, table_name, operation, row_count,"
            " sent_at) values (1, 'airtable', 'app1', 'tbl1', 'Events', 'create', 2, '2026-03-01 12:00:00')"
        )
    monkeypatch.setattr(ops, "MIGRATIONS", released)
    with ops.opened(path) as store:
        kept = "select table_name, row_count, rule_id, changes from journal"
        assert store.connection.execute(kept).fetchall() == [("Events", 2, None, None)]
        assert store.connection.execute("select count(*) from civicrm_links").fetchone() == (0,)
    assert (tmp_path / f"ops.sqlite.v{before}.bak").exists()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ops.sqlite"
    with ops.opened(path):
        pass
    released = ops.MIGRATIONS
    monkeypatch.setattr(ops, "MIGRATIONS", (*released, "create table half (id integer); create nonsense;"))
    steps = f"from schema {len(released)} to {len(released) + 1}"
    with pytest.raises(ops.BoxofficeError, match=steps), ops.opened(path):
        pass
    monkeypatch.setattr(ops, "MIGRATIONS", released)
    with ops.opened(path) as store:
        assert (
            store.connection.execute("select name from sqlite_master where name = 'half'").fetchone() is None
        )


def test_a_run_that_was_killed_is_not_left_running(tmp_path: Path) -> None:
    with ops.opened(tmp_path / "ops.sqlite") as store:
        first = store.begin_run("run", AS_OF, is_sandbox=False)
        second = store.begin_run("run", AS_OF, is_sandbox=False)
        store.end_run(second, status="ok", exit_code=0, seconds=1.0)
        runs = dict(store.connection.execute("select run_id, status from runs").fetchall())
    assert runs == {first: "killed", second: "ok"}


def test_failed_calls_are_dropped_after_their_time(tmp_path: Path) -> None:
    with ops.opened(tmp_path / "ops.sqlite") as store:
        for failed_at in ("2001-01-01 00:00:00", "2999-01-01 00:00:00"):
            store.connection.execute(
                "insert into api_errors (failed_at, system, rule_id) values (?, 'eventbrite', 'EB1')",
                (failed_at,),
            )
        store.drop_old(retention_days=90)
        assert store.connection.execute("select failed_at from api_errors").fetchall() == [
            ("2999-01-01 00:00:00",)
        ]


def test_what_a_listener_did_is_dropped_after_its_time_and_runs_are_not(tmp_path: Path) -> None:
    with ops.opened(tmp_path / "ops.sqlite") as store:
        commands = ("run", "listen", "listen", "run", "listen")
        for command in commands:
            run_id = store.begin_run(command, AS_OF, is_sandbox=False)
            store.add_step(run_id, "eventbrite", status="ok", seconds=1.0, rows=(1, 1, 0))
        store.connection.execute("update runs set started_at = '2001-01-01 00:00:00' where run_id <> 3")
        store.drop_old(retention_days=90)
        for table in ("runs", "steps"):
            kept = store.connection.execute(f"select run_id from {table} order by run_id").fetchall()
            assert [run_id for (run_id,) in kept] == [1, 3, 4, 5]


def test_forgotten_people_are_known_by_a_salted_hash_only(tmp_path: Path) -> None:
    path = tmp_path / "ops.sqlite"
    with ops.opened(path) as store:
        assert store.forget(["Ann@Example.org", " ann@example.org"]) == 1
        forgotten = store.forgotten()
    assert forgotten.matches([" ANN@example.ORG ", "bob@example.org", None, ""]) == [
        True,
        False,
        False,
        False,
    ]
    assert b"example" not in b"".join(file.read_bytes().lower() for file in tmp_path.iterdir())
    with ops.opened(tmp_path / "other.sqlite") as other:
        other.forget(["ann@example.org"])
        assert other.forgotten().hashes != forgotten.hashes


def failed_call(response: str) -> FailedCall:
    return FailedCall(AS_OF, "Unavailable", "GET /v3/orders/", response, "Traceback: orders")


def test_failed_calls_lose_their_texts_when_they_name_somebody_forgotten(tmp_path: Path) -> None:
    with ops.opened(tmp_path / "ops.sqlite") as store:
        run_id = store.begin_run("run", AS_OF, is_sandbox=False)
        bodies = ["200 Ann Chovy, Ann@example.org", "200 bob@example.org", "x" * LONGEST_TEXT]
        numbers = [store.add_api_error(run_id, "eventbrite", failed_call(body)) for body in bodies]
        assert store.forget(["ann@example.org"]) == 1
        later = store.add_api_error(run_id, "eventbrite", failed_call(bodies[0]))
        kept = dict(store.connection.execute("select api_error_id, response from api_errors").fetchall())
        assert kept == dict(zip([*numbers, later], ["", bodies[1], "", ""], strict=True))
        # Not even in what SQLite has let go of.
        assert b"chovy" not in b"".join(file.read_bytes().lower() for file in tmp_path.iterdir())


def test_a_test_has_failed_until_it_could_be_run_and_did_not(tmp_path: Path) -> None:
    with ops.opened(tmp_path / "ops.sqlite") as store:
        for statuses, failed in (
            (("pass", "fail", "fail", "error"), {"b", "d"}),
            (("fail", "skipped", "warn", "pass"), {"a", "b"}),
            (("pass", "pass", "fail", "skipped"), set()),
        ):
            run_id = store.begin_run("build", datetime(2026, 3, 1, tzinfo=UTC), is_sandbox=False)
            severities = ("error", "error", "warn", "error")
            store.add_tests(
                run_id,
                [
                    (name, None, severity, status, None)
                    for name, severity, status in zip("abcd", severities, statuses, strict=True)
                ],
            )
            assert store.failed_tests() == failed


def test_results_of_tests_are_kept_for_the_last_runs_that_tested(tmp_path: Path) -> None:
    with ops.opened(tmp_path / "ops.sqlite") as store:
        for _ in range(ops.TESTED_RUNS + 2):
            run_id = store.begin_run("build", AS_OF, is_sandbox=False)
            store.add_tests(run_id, [("keys", "gold.events", "error", "pass", 0)])
        idle = store.begin_run("status", AS_OF, is_sandbox=False)
        store.add_tests(idle, [])
        kept = [row[0] for row in store.connection.execute("select run_id from tests order by 1").fetchall()]
    assert kept == list(range(3, ops.TESTED_RUNS + 3))


def test_the_warehouse_shows_runs_and_steps_but_no_request(tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    with ops.opened(tmp_path / "ops.sqlite") as store:
        run_id = store.begin_run("run", AS_OF, is_sandbox=True)
        store.add_step(run_id, "sheets", status="ok", seconds=1.5, rows=(10, 9, 1))
        store.add_step(run_id, "build", status="ok", seconds=2.5, rows=(None, None, None))
        store.connection.execute(
            "insert into api_errors (failed_at, system, rule_id, request)"
            " values ('2026-03-01 12:00:00', 'eventbrite', 'unavailable', 'GET /v3')"
        )
        for _ in range(2):
            ops.copy_to_warehouse(store, warehouse)
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        steps = connection.execute(
            "select position, step, rows_read, rows_changed, rows_rejected, seconds from ops.steps order by 1"
        ).fetchall()
        runs = connection.execute("select command, as_of, is_sandbox, status from ops.runs").fetchall()
        shown = {
            row[0]
            for row in connection.execute("select column_name from (describe ops.api_errors)").fetchall()
        }
    assert steps == [(1, "sheets", 10, 9, 1, 1.5), (2, "build", None, None, None, 2.5)]
    assert runs == [("run", AS_OF.replace(tzinfo=None), True, "running")]
    assert shown == {"api_error_id", "run_id", "failed_at", "system", "rule_id"}


def test_of_all_calls_the_warehouse_shows_the_last(tmp_path: Path) -> None:
    with ops.opened(tmp_path / "ops.sqlite") as store:
        with store.connection as connection:
            connection.executemany(
                "insert into journal (run_id, destination, base_id, table_id, table_name, operation,"
                " row_count, sent_at) values (1, 'civicrm', 'site', ?, 'Contact', 'create', 1,"
                " '2026-03-01 12:00:00')",
                [(str(number),) for number in range(ops.SHOWN_CALLS + 5)],
            )
        shown = {table: rows for table, _, rows in store.reported()}["journal"]
        assert [shown[0][0], shown[-1][0], len(shown)] == [6, ops.SHOWN_CALLS + 5, ops.SHOWN_CALLS]


def test_opening_it_again_takes_no_lock_from_who_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "ops.sqlite"
    look = "import sqlite3, sys; it = sqlite3.connect(sys.argv[1])"
    look += "; print(*it.execute('select topic from alerts')); it.close()"

    def seen_elsewhere() -> str:
        command = [sys.executable, "-c", look, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with ops.opened(path):
        pass
    with closing(sqlite3.connect(path)) as first:
        first.execute("select * from runs").fetchall()
        with ops.opened(path):
            pass
        # Who takes himself for the last one to close it takes away the log that writes go to.
        assert seen_elsewhere() == ""
        with first:
            first.execute("insert into alerts values ('run', 1, '2026-03-01 12:00:00')")
        assert seen_elsewhere() == "('run',)"


def test_of_all_batches_of_a_listener_the_warehouse_shows_the_last(tmp_path: Path) -> None:
    with ops.opened(tmp_path / "ops.sqlite") as store:
        with store.connection as connection:
            connection.executemany(
                "insert into runs (run_id, command, as_of, is_sandbox, pid, started_at)"
                " values (?, ?, '2026-03-01', 0, 1, '2026-03-01')",
                [(number, "run" if number == 1 else "listen") for number in range(1, ops.SHOWN_BATCHES + 4)],
            )
            connection.execute("insert into steps select run_id, 1, 's', 'ok', 1, 1, 1, 1, 1 from runs")
        shown = {table: rows for table, _, rows in store.reported()}
    for table in ("runs", "steps"):
        assert sorted(row[0] for row in shown[table]) == [1, *range(4, ops.SHOWN_BATCHES + 4)]
