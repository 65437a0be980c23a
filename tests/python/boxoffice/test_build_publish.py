"""From models to the marts file: what fails, what stops, what readers see."""

import os
import signal
import subprocess
import sys
from dataclasses import astuple, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from boxoffice import publish as publish_module
from boxoffice.build import (
    BuildResult,
    GoldTable,
    SyncColumn,
    SyncModel,
    build,
    sound_sync_models,
    sync_models,
)
from boxoffice.errors import BoxofficeError
from boxoffice.publish import publish, renew
from boxoffice.settings import ROOT, Settings

READER = ROOT / ".venv" / "duckdb14"


def built(settings: Settings, project: Path) -> BuildResult:
    settings.warehouse_path.parent.mkdir(exist_ok=True)
    return build(settings, project_dir=project)


def published(settings: Settings, project: Path) -> None:
    publish(settings.warehouse_path, settings.marts_path, built(settings, project).published)


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def write(project: Path, name: str, text: str) -> None:
    (project / name).write_text(text, encoding="utf-8")


def test_a_build_reports_its_progress_and_lets_go_of_the_warehouse(settings: Settings, project: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    settings.warehouse_path.parent.mkdir()
    result = build(
        settings, project_dir=project, progress=lambda what, done, total: seen.append((done, total))
    )
    assert (result.models, result.tests_passed, result.troubles) == (2, 2, [])
    assert result.gold_is_sound
    assert seen[-1] == (4, 4)
    # Another process, for the lock is the process's.
    opened = [sys.executable, "-c", f"import duckdb; duckdb.connect({str(settings.warehouse_path)!r})"]
    subprocess.run(opened, check=True, timeout=60)
    assert not (project / "logs").exists()
    assert not (project / "target").exists()


def test_as_of_reaches_the_models_though_the_parse_is_kept(settings: Settings, project: Path) -> None:
    built(settings, project)
    parsed = settings.warehouse_path.with_suffix(".dbt") / "partial_parse.msgpack"
    assert parsed.is_file()
    built(replace(settings, as_of=datetime(2027, 1, 2, tzinfo=UTC)), project)
    assert rows(settings.warehouse_path, "select built_at from gold.buyers") == [("2027-01-02T00:00:00",)]


def test_a_failed_test_on_gold_is_named_and_makes_gold_unsound(settings: Settings, project: Path) -> None:
    write(
        project,
        "models/silver/people.sql",
        "select 2 as person_id, 'Bo' as person_name, 'bo@example.org' as email",
    )
    result = built(settings, project)
    assert [failure.name for failure in result.failures] == ["assert_nobody_is_number_two"]
    assert not result.gold_is_sound
    assert sorted(astuple(test) for test in result.tests) == [
        ("assert_nobody_is_number_two", "gold.buyers", "error", "fail", 1),
        ("unique_buyers_person_id", "gold.buyers", "error", "pass", 0),
    ]


def test_a_warning_does_not_make_gold_unsound(settings: Settings, project: Path) -> None:
    write(
        project,
        "models/silver/people.sql",
        "select 2 as person_id, 'Bo' as person_name, 'bo@example.org' as email",
    )
    write(
        project,
        "tests/assert_nobody_is_number_two.sql",
        "{{ config(severity='warn') }} select * from {{ ref('buyers') }} where person_id = 2",
    )
    result = built(settings, project)
    assert [warning.name for warning in result.warnings] == ["assert_nobody_is_number_two"]
    assert result.gold_is_sound


def test_a_failed_silver_model_makes_gold_unsound(settings: Settings, project: Path) -> None:
    write(
        project,
        "models/silver/people.sql",
        "select 1 as person_id, error('no people') as person_name, '' as email",
    )
    result = built(settings, project)
    assert [(failure.name, failure.kind) for failure in result.failures] == [("people", "model")]
    assert "no people" in result.failures[0].message
    assert not result.gold_is_sound


def test_a_model_that_cannot_be_read_is_named(settings: Settings, project: Path) -> None:
    write(project, "models/gold/buyers.sql", "select * from {{ ref('nobody') }}")
    with pytest.raises(BoxofficeError, match="nobody"):
        built(settings, project)


SYNC_YML = """
models:
  - name: sync_somewhere__people
    description: One row per person.
    config: {meta: {somewhere: {table: People, key: person_id}, elsewhere: {table: Others}}}
    columns:
      - name: person_name
        data_type: string
        description: Their name.
        config: {meta: {personal: true, somewhere: {field: Name}}}
      - {name: person_id, data_type: int, description: The person's id., data_tests: [unique]}
  - name: sync_somewhere__buyers
    description: One row per buyer.
    columns:
      - {name: person_id, data_type: int, description: The person's id.}
"""


@pytest.fixture
def sync(project: Path) -> Path:
    """Two sync models in the project, one on silver and one on gold."""
    folder = project / "models" / "sync"
    folder.mkdir()
    write(folder, "sync.yml", SYNC_YML)
    write(folder, "sync_somewhere__people.sql", "select person_name, person_id from {{ ref('people') }}")
    write(folder, "sync_somewhere__buyers.sql", "select person_id from {{ ref('buyers') }}")
    write(folder, "helper.sql", "select 1 as person_id")
    settings = (project / "dbt_project.yml").read_text(encoding="utf-8")
    write(project, "dbt_project.yml", settings + "    sync: {+schema: sync, +materialized: table}\n")
    return folder


def test_sync_models_are_told_with_their_meta(settings: Settings, project: Path, sync: Path) -> None:
    buyers, people = sync_models(settings, project_dir=project)
    assert (buyers.name, buyers.meta) == ("sync_somewhere__buyers", {})
    assert people == SyncModel(
        name="sync_somewhere__people",
        destination="somewhere",
        thing="people",
        schema="sync",
        alias="sync_somewhere__people",
        description="One row per person.",
        meta={"table": "People", "key": "person_id"},
        columns={
            "person_name": SyncColumn(
                "person_name", "string", "Their name.", {"field": "Name"}, is_personal=True
            ),
            "person_id": SyncColumn("person_id", "int", "The person's id.", {}),
        },
    )
    assert list(people.columns) == ["person_name", "person_id"]
    result = built(settings, project)
    assert (result.synced, result.unsound_sync) == ([buyers, people], [])


BOTH = ("sync_somewhere__buyers", "sync_somewhere__people")
NOBODY = "select 1 as person_id, error('no people') as person_name, '' as email"


@pytest.mark.parametrize(
    ("name", "text", "unsound"),
    [
        ("models/silver/people.sql", NOBODY, BOTH),
        (
            "models/sync/sync_somewhere__people.sql",
            "select error('no') as person_name, 1 as person_id",
            BOTH[1:],
        ),
        ("tests/assert_own.sql", "select * from {{ ref('sync_somewhere__buyers') }}", BOTH[:1]),
        ("tests/assert_gold.sql", "select * from {{ ref('buyers') }}", BOTH[:1]),
        ("tests/assert_silver.sql", "select * from {{ ref('people') }}", BOTH),
        ("tests/assert_two.sql", "select 1 from {{ ref('people') }}, {{ ref('buyers') }}", BOTH),
        ("tests/assert_other.sql", "select * from {{ ref('helper') }}", ()),
        ("tests/assert_warns.sql", "{{ config(severity='warn') }} select * from {{ ref('people') }}", ()),
    ],
)
def test_only_the_syncs_that_stand_on_what_failed_are_unsound(
    settings: Settings, project: Path, sync: Path, name: str, text: str, unsound: tuple[str, ...]
) -> None:
    write(project, name, text)
    result = built(settings, project)
    assert tuple(result.unsound_sync) == unsound
    # Later, from what was recorded of the tests.
    failed = {test.test for test in result.tests if test.status == "fail" and test.severity == "error"}
    if name.startswith("tests/"):
        sound, others = sound_sync_models(settings, failed, project_dir=project)
        assert (sound, others) == (result.synced, result.unsound_sync)
    assert tuple(model.name for model in result.synced) == tuple(each for each in BOTH if each not in unsound)


def test_sync_that_a_build_leaves_alone_is_neither_sound_nor_unsound(
    settings: Settings, project: Path, sync: Path
) -> None:
    settings.warehouse_path.parent.mkdir()
    result = build(settings, select=("silver",), project_dir=project)
    assert (result.synced, result.unsound_sync) == ([], [])


def test_a_failed_sync_test_leaves_gold_sound_and_sync_is_never_published(
    settings: Settings, project: Path, sync: Path
) -> None:
    write(project, "tests/assert_own.sql", "select * from {{ ref('sync_somewhere__people') }}")
    result = built(settings, project)
    assert result.gold_is_sound
    assert list(result.published) == ["buyers"]


def test_no_personal_data_leaves_the_warehouse(settings: Settings, project: Path) -> None:
    published(settings, project)
    content = settings.marts_path.read_bytes()
    for secret in (b"Ann Chovy", b"ann@example.org"):
        assert secret in settings.warehouse_path.read_bytes()
        assert secret not in content
    assert rows(settings.marts_path, "select * from gold.buyers") == [(1, "2026-03-01T12:00:00")]


def test_tables_that_no_model_describes_stay_behind(settings: Settings, project: Path) -> None:
    result = built(settings, project)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("create table gold.renamed_away as select 'ann@example.org' as email")
    publish(settings.warehouse_path, settings.marts_path, result.published)
    assert rows(settings.marts_path, "select table_name from duckdb_tables()") == [("buyers",)]


def test_the_marts_file_explains_itself(settings: Settings, project: Path) -> None:
    published(settings, project)
    comments = "select comment from duckdb_columns() where table_name = 'buyers' order by column_index"
    assert rows(settings.marts_path, comments) == [("The person's id.",), ("When it was built.",)]
    assert rows(settings.marts_path, "select comment from duckdb_tables()") == [("One row per buyer.",)]


def test_health_is_renewed_and_nothing_else(settings: Settings, project: Path) -> None:
    tables = {name: GoldTable("gold", "", {"word": "A word."}) for name in ("buyers", "health_a", "health_b")}
    health = {name: table for name, table in tables.items() if name.startswith("health_")}
    settings.warehouse_path.parent.mkdir(exist_ok=True)
    renew(settings.warehouse_path, settings.marts_path, health)
    assert not settings.marts_path.exists()
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("create schema gold")
        for name in tables:
            connection.execute(f"create table gold.{name} as select 'before' as word")
    publish(settings.warehouse_path, settings.marts_path, tables)
    os.utime(settings.marts_path, (1, 1))
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("update gold.buyers set word = 'after'")
        connection.execute("update gold.health_a set word = 'after'")
        connection.execute("drop table gold.health_b")
    renew(settings.warehouse_path, settings.marts_path, health)
    shown = {name: rows(settings.marts_path, f"select word from gold.{name}") for name in tables}
    assert shown == {"buyers": [("before",)], "health_a": [("after",)], "health_b": [("before",)]}
    comments = "select distinct comment from duckdb_columns() where database_name = 'marts'"
    assert rows(settings.marts_path, comments) == [("A word.",)]
    # When gold was published, not when its health was looked at.
    assert settings.marts_path.stat().st_mtime == 1


def test_an_open_reader_reads_on_while_the_file_is_swapped(settings: Settings, project: Path) -> None:
    published(settings, project)
    script = (
        "import duckdb, sys\n"
        f"connection = duckdb.connect({str(settings.marts_path)!r}, read_only=True)\n"
        "for _ in sys.stdin:\n"
        "    print(connection.execute('select built_at from gold.buyers').fetchall(), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None

        def ask() -> str:
            print("?", file=reader.stdin, flush=True)
            return reader.stdout.readline()

        before = ask()
        with settings.marts_path.open("rb") as old:
            content = old.read()
            published(replace(settings, as_of=datetime(2027, 1, 2, tzinfo=UTC)), project)
            old.seek(0)
            # The reader may answer from memory: what it would read next must be unchanged too.
            assert old.read() == content
        assert ask() == before == "[('2026-03-01T12:00:00',)]\n"
        reader.stdin.close()
        assert reader.wait(timeout=60) == 0
    assert rows(settings.marts_path, "select built_at from gold.buyers") == [("2027-01-02T00:00:00",)]


@pytest.mark.parametrize("moment", ["_copy", "_flush"])
def test_killed_while_publishing_the_old_file_stays_whole(
    settings: Settings, project: Path, moment: str
) -> None:
    published(settings, project)
    before = settings.marts_path.read_bytes()
    script = f"""
import os, signal
from boxoffice import publish
from boxoffice.build import GoldTable
from pathlib import Path
real = publish.{moment}
def killed(*arguments):
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
publish.{moment} = killed
tables = {{"buyers": GoldTable("gold", "", {{"person_id": ""}})}}
publish.publish(Path({str(settings.warehouse_path)!r}), Path({str(settings.marts_path)!r}), tables)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert settings.marts_path.read_bytes() == before
    assert len(list(settings.marts_path.parent.glob(".marts*"))) == 1
    published(settings, project)
    assert list(settings.marts_path.parent.glob(".marts*")) == []


def test_a_failed_copy_leaves_nothing_behind(
    settings: Settings, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(settings, project)
    before = settings.marts_path.read_bytes()

    def full(path: Path) -> None:
        raise OSError(28, os.strerror(28), str(path))

    monkeypatch.setattr(publish_module, "_flush", full)
    with pytest.raises(OSError, match="No space left"):
        published(settings, project)
    assert settings.marts_path.read_bytes() == before
    assert list(settings.marts_path.parent.glob(".marts*")) == []


def test_duckdb_1_4_opens_the_marts_file_and_not_one_of_a_later_version(
    settings: Settings, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert READER.is_dir(), (
        "DuckDB 1.4 is not installed: run `make test` once, or see requirements-reader.lock"
    )
    script = (
        f"import sys; sys.path.insert(0, {str(READER)!r}); import duckdb\n"
        f"connection = duckdb.connect({str(settings.marts_path)!r}, read_only=True)\n"
        "print(duckdb.__version__, connection.execute('select person_id from gold.buyers').fetchall())"
    )

    def read() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
        )

    published(settings, project)
    ended = read()
    assert ended.stdout.startswith("1.4."), ended.stderr
    assert ended.stdout.endswith(" [(1,)]\n")
    # Chosen, not what DuckDB takes by itself.
    tag = "select tags['storage_version'] from duckdb_databases() where database_name = 'marts'"
    assert rows(settings.marts_path, tag) == [("v1.4.0+",)]

    monkeypatch.setattr(publish_module, "STORAGE_VERSION", "latest")
    published(settings, project)
    assert read().returncode == 1
