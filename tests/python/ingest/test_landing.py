"""What both sources stand on: tables that exist, rows written once, plain words for trouble."""

import errno
import itertools
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boxoffice import settings as settings_module
from boxoffice.errors import BoxofficeError
from boxoffice.settings import Settings
from ingest import landing

ORDERS = pa.schema(
    {
        "id": pa.string(),
        "changed": landing.TIMESTAMP,
        "payload": pa.string(),
        "payload_hash": pa.string(),
        "missing_since": landing.TIMESTAMP,
        "landed_at": landing.TIMESTAMP,
    }
)
NUMBERS = itertools.count()
AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_module.load(
        {"DATABASE_URL": f"duckdb:///{tmp_path}/x.duckdb", "SHEETS_DIR": str(tmp_path)}
    )


def orders(*objects: dict) -> pa.Table:
    columns = {"id": lambda each: each["id"], "changed": lambda each: each["changed"]}
    return landing.as_payloads(objects, columns, AS_OF)


def order(number: int, **more: object) -> dict:
    return {"id": number, "changed": "2026-01-01T01:00:00+01:00", **more}


def merged(settings: Settings, batch: pa.Table) -> Any:
    """The batch as what lands: a file of its own, merged by id."""
    path = settings.warehouse_path.parent / "batches" / f"{next(NUMBERS)}.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(batch, path)
    return landing.upsert("orders", path, ORDERS, batch.num_rows, ["id"])


def land(settings: Settings, batch: pa.Table) -> None:
    landing.ensure_tables(settings, "eventbrite", {"orders": ORDERS})
    pipeline = landing.pipeline_for("eventbrite", settings)
    landing.land(pipeline, settings, merged(settings, batch))


def held(settings: Settings, columns: str) -> list[tuple]:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        return connection.sql(f"select {columns} from bronze_eventbrite.orders order by id").fetchall()


def test_a_changed_object_replaces_the_earlier_one(settings: Settings) -> None:
    land(settings, orders(order(1), order(2)))
    land(settings, orders(order(2, name="new")))
    assert held(settings, "id, changed, payload ->> 'name'") == [
        ("1", datetime(2026, 1, 1), None),  # noqa: DTZ001
        ("2", datetime(2026, 1, 1), "new"),  # noqa: DTZ001
    ]


def test_the_hash_is_of_what_an_object_says_not_of_how_or_where() -> None:
    same = [
        {"id": "1", "a": 1, "b": {"d": 2, "c": 3}},
        {"b": {"c": 3, "d": 2}, "resource_uri": "x", "a": 1, "id": "1"},
    ]
    assert len({landing.payload_hash(each) for each in same}) == 1
    assert landing.payload_hash({**same[0], "a": 2}) != landing.payload_hash(same[0])


def test_moments_land_in_utc() -> None:
    east = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    for moment in (east, "2026-01-01T12:00:00+02:00", "2026-01-01T10:00:00Z", "2026-01-01T10:00:00"):
        assert landing.utc_timestamp(moment) == datetime(2026, 1, 1, 10)  # noqa: DTZ001
    assert landing.utc_timestamp("") is None


def test_missing_tables_and_columns_are_made_and_what_is_there_stays(settings: Settings) -> None:
    first = {"orders": pa.schema([ORDERS.field("id")])}
    landing.ensure_tables(settings, "eventbrite", first)
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute("insert into bronze_eventbrite.orders values ('1')")
    landing.ensure_tables(settings, "eventbrite", {"orders": ORDERS, "events": ORDERS})
    assert held(settings, ", ".join(ORDERS.names)) == [("1", None, None, None, None, None)]

    before = settings.warehouse_path.stat().st_mtime_ns
    landing.ensure_tables(settings, "eventbrite", {"orders": ORDERS, "events": ORDERS})
    assert settings.warehouse_path.stat().st_mtime_ns == before, "nothing to make, nothing written"


def test_dlt_finds_the_tables_made_for_it(settings: Settings) -> None:
    landing.ensure_tables(settings, "eventbrite", {"orders": ORDERS})
    land(settings, orders(order(1)))
    assert held(settings, "id") == [("1",)]


def test_a_warehouse_open_elsewhere_is_named(settings: Settings) -> None:
    land(settings, orders(order(1)))
    opened = f"c = duckdb.connect({str(settings.warehouse_path)!r})"
    code = f"import duckdb; {opened}; print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(BoxofficeError, match=r"x\.duckdb is open in another program"):
            land(settings, orders(order(2)))
        other.communicate("\n")
    land(settings, orders(order(3)))
    assert [row[0] for row in held(settings, "id")][-1] == "3", "the next run goes on by itself"


def test_a_file_that_is_no_warehouse_is_named(settings: Settings) -> None:
    settings.warehouse_path.write_bytes(b"not a database, though long enough to be looked at" * 400)
    with pytest.raises(BoxofficeError, match=r"x\.duckdb is not a DuckDB file"):
        landing.ensure_tables(settings, "eventbrite", {"orders": ORDERS})


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "is full"),
        (duckdb.IOException('Could not write file "x": No space left on device'), "is full"),
        (PermissionError(errno.EACCES, "Permission denied"), r"Permission is missing at .*x\.duckdb"),
        (OSError(errno.EROFS, "Read-only file system"), r"x\.duckdb cannot be written"),
    ],
)
def test_trouble_with_the_disk_is_told_in_plain_words(
    settings: Settings, error: Exception, says: str
) -> None:
    step = RuntimeError("a step failed")
    # As dlt hands on what its destination raised.
    step.exception = error  # type: ignore[attr-defined]
    with pytest.raises(BoxofficeError, match=says), landing.plain_errors(settings):
        raise step


def test_an_unforeseen_error_comes_out_as_it_is(settings: Settings) -> None:
    with pytest.raises(ZeroDivisionError), landing.plain_errors(settings):
        _ = 1 / 0


def test_an_error_of_the_source_comes_out_as_it_was_raised(settings: Settings) -> None:
    def broken():
        yield orders(order(1))
        raise BoxofficeError("The source stopped.")

    pipeline = landing.pipeline_for("eventbrite", settings)
    with pytest.raises(BoxofficeError, match=r"^The source stopped\.$"):
        landing.land(pipeline, settings, dlt.resource(broken, name="orders"))


def test_what_is_pending_is_finished_first(settings: Settings) -> None:
    pipeline = landing.pipeline_for("eventbrite", settings)
    for number in (1, 2):
        pipeline.extract(merged(settings, orders(order(number))), loader_file_format="parquet")
    pipeline = landing.pipeline_for("eventbrite", settings)
    assert landing.finish_pending(pipeline, settings) is True
    assert held(settings, "id") == [("1",), ("2",)]
    assert landing.finish_pending(pipeline, settings) is False


def test_nothing_is_written_beside_the_warehouse(settings: Settings, tmp_path: Path, monkeypatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    land(settings, orders(order(1)))
    assert list(home.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["batches", "home", "x.dlt", "x.duckdb"]


def test_a_path_with_an_apostrophe_is_refused(tmp_path: Path) -> None:
    settings = settings_module.load({"DATABASE_URL": f"duckdb:///{tmp_path}/o'brien/x.duckdb"})
    with pytest.raises(BoxofficeError, match="apostrophe"):
        landing.pipeline_for("eventbrite", settings)
