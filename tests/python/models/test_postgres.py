"""Postgres builds and tests the same project, and its gold and sync are DuckDB's to the last digit."""

from datetime import UTC, datetime
from random import Random

from tests.python.models import wild
from tests.python.models.bronze import Row
from tests.python.models.changes import a_day
from tests.python.models.postgres import Postgres
from tests.python.models.test_incremental import rewrite
from tests.python.models.warehouse import Warehouse

# What the world maps stays: the project's own mappings are empty.
WORLDS = ("--exclude", "event_links", "civicrm_events", "civicrm_roles")


def test_gold_and_sync_on_postgres_are_those_on_duckdb(warehouse_of, postgres):
    world = wild.world(11)
    said = {"sheets_timezone": "America/New_York"}
    wild.map_anew(world, Random(9))
    assert world.links
    warehouse = warehouse_of(world)
    warehouse.build(*WORLDS, "--exclude-resource-type", "unit_test", **said)
    postgres.load(world.tables, world.links)
    postgres.build(*WORLDS, **said)  # unit tests included

    assert_same(warehouse, postgres, "gold", least=10)
    assert_same(warehouse, postgres, "sync", least=6)
    assert warehouse.rows("sync.sync_civicrm__attendees")

    a_day(world, Random(11), datetime(2026, 3, 2, tzinfo=UTC))
    wild.map_anew(world, Random(4))
    rewrite(warehouse.path, world)
    postgres.reload(world.tables)
    warehouse.build("--full-refresh", *WORLDS, command="run", **said)
    postgres.build(*WORLDS, "--exclude-resource-type", "unit_test", **said)

    assert_same(warehouse, postgres, "gold", least=10)
    assert_same(warehouse, postgres, "sync", least=6)


def assert_same(warehouse: Warehouse, postgres: Postgres, schema: str, least: int) -> None:
    marts = [
        row["table_name"]
        for row in warehouse.rows(
            "select table_name from information_schema.tables where table_schema = ? order by all", [schema]
        )
    ]
    assert len(marts) >= least
    for mart in marts:
        here, there = _sorted(warehouse.rows(f"{schema}.{mart}")), _sorted(postgres.rows(f"{schema}.{mart}"))
        assert [list(row) for row in here[:1]] == [list(row) for row in there[:1]], f"{mart}: other columns"
        assert len(here) == len(there), f"{mart}: {len(here)} rows here, {len(there)} there"
        for mine, other in zip(here, there, strict=True):
            assert _typed(mine) == _typed(other), mart


def _sorted(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: [(value is None, str(value)) for value in row.values()])


def _typed(row: Row) -> Row:
    """So that 1, 1.0 and true are not taken for each other."""
    return {name: (type(value).__name__, value) for name, value in row.items()}
