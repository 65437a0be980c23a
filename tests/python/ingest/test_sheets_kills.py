"""However a load of sheets ends, the next one leaves bronze as if nothing had happened."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from boxoffice import settings as settings_module
from boxoffice.settings import Settings
from ingest import landing, sheets

ARTISTS = "artist_id,name,genre,country,created_at\n"
VENUES = "venue_id,name,city,state,country,capacity\n"
DAYS = (
    {"artists.csv": ARTISTS + "1,old,b,c,d\n2,old,b,c,d\nragged\n", "venues.csv": VENUES + "v,old,b,c,d,1\n"},
    {"artists.csv": ARTISTS + "1,new,b,c,d\n3,new,b,c,d\n", "venues.csv": VENUES + "w,new,b,c,d,1\nbad\n"},
)


def settings_in(root: Path) -> Settings:
    return settings_module.load(
        {
            "DATABASE_URL": f"duckdb:///{root}/x.duckdb",
            "SHEETS_DIR": str(root / "sheets"),
            "BOXOFFICE_AS_OF": "2026-03-01T12:00:00Z",
        }
    )


def write(root: Path, day: int) -> None:
    (root / "sheets").mkdir(parents=True, exist_ok=True)
    for name, content in DAYS[day].items():
        (root / "sheets" / name).write_text(content)


def bronze(root: Path) -> dict[str, list[tuple]]:
    with duckdb.connect(str(root / "x.duckdb"), read_only=True) as connection:
        return {
            table: connection.sql(
                f"select {', '.join(schema.names)} from bronze_sheets.{table} order by all"
            ).fetchall()
            for table, schema in sheets.TABLES.items()
        }


def load(root: Path) -> None:
    sheets.load(settings_in(root))


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A folder in which that day's files, and those of the day before, were loaded without trouble."""
    root = tmp_path_factory.mktemp("days")
    for number in range(len(DAYS)):
        if number:
            shutil.copytree(root / str(number - 1), root / str(number))
        write(root / str(number), number)
        load(root / str(number))
    return lambda number: root / str(number)


# What a load writes, in order; each is a moment to die before, and after.
STEPS: list[tuple[Any, str]] = [
    (sheets, "_land"),
    (dlt.Pipeline, "extract"),
    (dlt.Pipeline, "normalize"),
    (landing._SnapshotJob, "run"),
    (dlt.Pipeline, "load"),
    (landing, "land"),
    (sheets, "_count"),
    (landing._WarehouseClient, "complete_load"),
    (landing._WarehouseClient, "update_stored_schema"),
]


def die_at(moment: int) -> None:
    """Arrange that this process ends at the nth moment, as a kill would: nothing is tidied up."""
    passed = 0

    def pass_one() -> None:
        nonlocal passed
        passed += 1
        if passed == moment:
            os._exit(9)

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            pass_one()
            outcome = function(*args, **kwargs)
            pass_one()
            return outcome

        return step

    for owner, name in STEPS:
        setattr(owner, name, wrapped(getattr(owner, name)))
    # Inside the transaction too: rows deleted, new ones not yet in.
    run_sql = DuckDbSqlClient.execute_sql

    def execute_sql(self: Any, sql: str, *values: Any, **named: Any) -> Any:
        outcome = run_sql(self, sql, *values, **named)
        if sql.startswith(("DELETE", "INSERT")):
            pass_one()
        return outcome

    DuckDbSqlClient.execute_sql = execute_sql  # type: ignore[method-assign]


def killed_at(root: Path, moment: int) -> bool:
    """Load in a process that dies at that moment. False when it ended before."""
    child = os.fork()
    if child == 0:
        try:
            die_at(moment)
            load(root)
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9)
    return code == 9


def test_a_load_killed_at_any_moment_is_made_good_by_the_next(day, tmp_path: Path) -> None:
    before, expected = bronze(day(0)), bronze(day(1))
    moment = 0
    while True:
        moment += 1
        root = tmp_path / str(moment)
        shutil.copytree(day(0), root)
        write(root, 1)
        was_killed = killed_at(root, moment)
        if was_killed:
            found = bronze(root)
            for table in sheets.HEADERS:
                assert found[table] in (before[table], expected[table]), f"half of {table} at moment {moment}"
            # One in five dies a second time, in the middle of making good.
            if moment % 5 == 0:
                killed_at(root, moment // 2)
            load(root)
        assert bronze(root) == expected, f"killed at moment {moment}"
        left = [path for path in (root / "x.dlt").rglob("*.parquet") if path.is_file()]
        assert not left, f"killed at moment {moment}, left {left}"
        shutil.rmtree(root)
        if not was_killed:
            break
    assert moment > 25


@pytest.mark.parametrize("lost", [["x.dlt"], ["x.duckdb"], ["x.dlt", "x.duckdb"]])
def test_what_is_deleted_comes_back(day, tmp_path: Path, lost: list[str]) -> None:
    root = tmp_path / "root"
    shutil.copytree(day(1), root)
    for name in lost:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    load(root)
    assert bronze(root) == bronze(day(1))


@pytest.mark.parametrize("file_day", [0, 1])
@pytest.mark.parametrize("moment", [None, 5, 12, 16])
def test_yesterdays_warehouse_under_todays_folder_becomes_todays(
    day, tmp_path: Path, moment: int | None, file_day: int
) -> None:
    """With a package of today still pending, or none; and with the files of today, or put back too."""
    root = tmp_path / "root"
    shutil.copytree(day(0), root)
    write(root, 1)
    if moment is None:
        load(root)
    else:
        assert killed_at(root, moment)
    shutil.copy(day(0) / "x.duckdb", root / "x.duckdb")
    (root / "x.duckdb.wal").unlink(missing_ok=True)
    write(root, file_day)
    load(root)
    assert bronze(root) == bronze(day(file_day))


def test_a_torn_working_folder_is_made_anew(day, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(day(0), root)
    write(root, 1)
    for path in (root / "x.dlt").rglob("*.json"):
        path.write_bytes(path.read_bytes()[:20])
    load(root)
    assert bronze(root) == bronze(day(1))
