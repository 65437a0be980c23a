"""The short build: only what lies between what changed and a destination, and the project parsed once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from boxoffice import build as build_module
from boxoffice.build import BuildResult, Warm, build, renew
from boxoffice.errors import LeftOff
from boxoffice.settings import Settings

SYNC = """
models:
  - {name: sync_civicrm__orders, columns: [{name: order_id, data_type: int}]}
  - {name: sync_airtable__orders, columns: [{name: order_id, data_type: int}]}
  - {name: sync_airtable__venues, columns: [{name: venue_id, data_type: int}]}
"""
MODELS = {
    "models/silver/sources.yml": """
sources:
  - {name: eventbrite, schema: bronze_eventbrite, tables: [{name: orders}, {name: venues}]}
""",
    "models/silver/orders.sql": "select * from {{ source('eventbrite', 'orders') }}",
    "models/silver/orders.yml": """
models: [{name: orders, columns: [{name: order_id, data_tests: [unique]}]}]
""",
    "models/silver/venues.sql": "select * from {{ source('eventbrite', 'venues') }}",
    "models/sync/sync.yml": SYNC,
    "models/sync/sync_civicrm__orders.sql": "select order_id from {{ ref('orders') }}",
    "models/sync/sync_airtable__orders.sql": "select order_id from {{ ref('orders') }}",
    "models/sync/sync_airtable__venues.sql": "select venue_id from {{ ref('venues') }}",
}
ORDERS = {"bronze_eventbrite.orders"}

Renew = Callable[..., BuildResult | None]


@pytest.fixture
def rows(settings: Settings) -> Callable[[str], list[Any]]:
    def ask(statement: str) -> list[Any]:
        settings.warehouse_path.parent.mkdir(exist_ok=True)
        with duckdb.connect(str(settings.warehouse_path)) as connection:
            return connection.execute(statement).fetchall()

    return ask


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """One element for each time that the project was parsed."""
    seen: list[Path] = []
    parse = build_module._parse

    def counted(settings: Settings, project_dir: Path) -> Any:
        seen.append(project_dir)
        return parse(settings, project_dir)

    monkeypatch.setattr(build_module, "_parse", counted)
    return seen


@pytest.fixture
def short(settings: Settings, project: Path, rows: Callable[[str], list[Any]], parses: list[Path]) -> Renew:
    """Renews for a destination, in a project that was built when there was one order and one venue."""
    for name, text in MODELS.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    rows("create schema bronze_eventbrite")
    rows("create table bronze_eventbrite.orders as select 1 as order_id")
    rows("create table bronze_eventbrite.venues as select 1 as venue_id")
    warm = Warm()

    def short_build(destination: str, tables: set[str] = ORDERS, **options: Any) -> BuildResult | None:
        return renew(
            settings,
            destination,
            tables=tables,
            warm=warm,
            project_dir=project,
            **{"failed_tests": (), **options},
        )

    assert short_build("civicrm") is None  # nothing was ever built
    assert not build(settings, project_dir=project, warm=warm).failures
    assert len(parses) == 1
    return short_build


def names(result: BuildResult | None) -> tuple[list[str], list[str], list[str]]:
    assert result is not None
    done = sorted(key.rpartition(".")[2] for key in result.done)
    return done, sorted(model.name for model in result.synced), result.unsound_sync


def test_only_what_lies_between_is_renewed_and_nothing_is_tested(
    short: Renew, rows: Callable[[str], list[Any]], parses: list[Path]
) -> None:
    rows("insert into bronze_eventbrite.orders values (2), (2)")
    rows("insert into bronze_eventbrite.venues values (2)")
    first = short("civicrm")
    assert names(first) == (["orders", "sync_civicrm__orders"], ["sync_civicrm__orders"], [])
    assert first is not None
    assert first.tests == []
    assert names(short("airtable", without=first.done)) == (
        ["sync_airtable__orders"],
        ["sync_airtable__orders", "sync_airtable__venues"],
        [],
    )
    assert rows("select count(*) from silver.sync_airtable__orders") == [(3,)]
    assert rows("select count(*) from silver.sync_airtable__venues") == [(1,)]
    assert len(parses) == 1


def test_nothing_is_run_where_nothing_lies_between(short: Renew) -> None:
    assert names(short("civicrm", {"bronze_eventbrite.venues"})) == ([], ["sync_civicrm__orders"], [])


def test_what_failed_is_not_written_back(short: Renew, rows: Callable[[str], list[Any]]) -> None:
    failed = {"unique_orders_order_id"}
    assert names(short("airtable", failed_tests=failed))[1:] == (
        ["sync_airtable__venues"],
        ["sync_airtable__orders"],
    )
    rows("drop table bronze_eventbrite.orders")
    broken = short("civicrm")
    assert names(broken) == ([], [], ["sync_civicrm__orders"])
    assert broken is not None
    assert [trouble.name for trouble in broken.failures] == ["orders"]


def test_a_changed_file_is_read_and_a_new_model_calls_for_a_whole_build(
    short: Renew, project: Path, parses: list[Path], rows: Callable[[str], list[Any]]
) -> None:
    (project / "models/silver/orders.sql").write_text(
        "select order_id + 10 as order_id from {{ source('eventbrite', 'orders') }}", encoding="utf-8"
    )
    assert names(short("civicrm"))[1] == ["sync_civicrm__orders"]
    assert (len(parses), rows("select * from silver.sync_civicrm__orders")) == (2, [(11,)])
    (project / "models/silver/older.sql").write_text("select 1 as order_id", encoding="utf-8")
    (project / "models/sync/sync_civicrm__orders.sql").write_text(
        "select order_id from {{ ref('older') }}", encoding="utf-8"
    )
    assert short("civicrm") is None


def test_a_build_that_is_left_off_ends_at_the_next_node_and_can_go_on(
    project: Path, short: Renew, settings: Settings, rows: Callable[[str], list[Any]]
) -> None:
    for number in range(30):
        (project / f"models/silver/late_{number:02}.sql").write_text("select * from {{ ref('orders') }}")
    rows("insert into bronze_eventbrite.orders values (5)")
    asked: list[int] = []

    def leaves_off() -> bool:
        asked.append(1)
        return len(asked) == 3

    with pytest.raises(LeftOff):
        build(settings, project_dir=project, leaves_off=leaves_off)
    assert len(asked) == 3
    there = "select count(*) from duckdb_tables() where table_name like 'late_%'"
    assert rows(there)[0][0] < 5
    again = build(settings, project_dir=project)
    assert (again.failures, rows(there)) == ([], [(30,)])
