"""The dbt project builds, and all of its own tests pass."""

from datetime import UTC, datetime

import duckdb

from boxoffice import identities, ops
from tests.python.models.bronze import Bronze
from tests.python.models.test_models_are_described import undescribed_columns
from tests.python.models.warehouse import AS_OF, Dbt

NO_TESTS = ("--exclude-resource-type", "unit_test", "--exclude-resource-type", "test")


def test_an_empty_bronze_builds_and_every_test_of_the_project_passes(warehouse_of, dbt):
    warehouse = warehouse_of(Bronze())
    results = warehouse.build()  # models, seeds, data tests, unit tests

    kinds = {str(result.node.resource_type) for result in results}
    assert {"model", "seed", "test", "unit_test"} <= kinds
    for mart in ("event_sales", "event_money", "daily_metrics", "campaign_roi", "fact_tickets"):
        assert warehouse.rows(f"gold.{mart}") == []
    assert undescribed_columns(warehouse, dbt.manifest()) == []


def test_the_clock_is_as_of_and_a_build_can_be_repeated(warehouse_of):
    world = Bronze()
    world.event("1", capacity=2, currency="USD")  # ends 2026-02-11T03:00Z
    world.order("o1", "1")
    world.attendee("10", "o1", "1", checked_in=True)
    world.attendee("11", "o1", "1")
    warehouse = warehouse_of(world)
    shown = []
    for as_of in ("2026-02-11T02:59:59", "2026-02-11T03:00:01", "2026-02-11T03:00:01"):
        warehouse.build("--select", "+event_sales", *NO_TESTS, as_of=as_of)
        shown += warehouse.rows("select no_show_rate, sell_through from gold.event_sales")
    before, after, again = shown
    assert before == {"no_show_rate": None, "sell_through": 1.0}
    assert after == again == {"no_show_rate": 0.5, "sell_through": 1.0}


def test_weeks_are_those_of_the_iso_calendar_on_every_day_there_is(warehouse_of):
    world = Bronze()
    for number, day in enumerate(("1989-12-31", "1990-01-01", "2100-12-31", "2101-01-01")):
        world.sheet("events", event_id=f"E{number}", event_date=day)
    warehouse = warehouse_of(world)
    warehouse.build("--select", "+dim_date", *NO_TESTS)

    days = warehouse.rows("select * from gold.dim_date where full_date is not null order by full_date")
    assert (days[0]["date_key"], days[-1]["date_key"]) == (19900101, 21001231)
    wrong = []
    for row in days:
        day = row["full_date"]
        year, week, weekday = day.isocalendar()
        told = {
            "week_year": year,
            "week": week,
            "day_of_week": weekday,
            "is_weekend": weekday >= 6,
            "quarter": (day.month + 2) // 3,
            "month_name": day.strftime("%B"),
        }
        wrong += [day for name, value in told.items() if row[name] != value]
    assert wrong == []
    assert len(days) == (days[-1]["full_date"] - days[0]["full_date"]).days + 1


def test_a_sync_model_holds_the_sources_that_its_meta_names(warehouse_of, dbt):
    world = Bronze()
    world.event("1", venue_id="v")
    world.venue("v", name="Hall")
    world.sheet("venues", venue_id="7", name="Barn")
    found = []
    for said in ({}, {"sources": ["eventbrite", "sheets"]}, {"sources": ["sheets"]}):
        manifest = dbt.manifest().deepcopy()
        model = manifest.nodes["model.boxoffice.sync_airtable__venues"]
        # A copied manifest shares what its meta holds.
        model.config.meta = {"airtable": {**model.config.meta["airtable"], **said}}
        warehouse = warehouse_of(world)
        warehouse.dbt = Dbt(dbt.folder, {"duckdb": manifest})
        warehouse.build("--select", "+sync_airtable__venues", *NO_TESTS)
        rows = warehouse.rows("select venue_name from sync.sync_airtable__venues order by 1")
        found.append([row["venue_name"] for row in rows])
    assert found == [["Hall"], ["Barn", "Hall"], ["Barn"]]


def test_dbt_makes_what_it_reads_of_the_ops_file_as_the_core_does(warehouse_of, tmp_path):
    warehouse = warehouse_of(Bronze())
    warehouse.build("--select", "currencies", *NO_TESTS)
    # No model reads the tables left out.
    columns = (
        "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'ops' "
        "and table_name not in ('api_errors', 'journal', 'rejected_rows') order by all"
    )
    bare = warehouse.rows(columns)
    with ops.opened(tmp_path / "ops.sqlite") as store:
        identities.lend(store, warehouse.path, datetime(2026, 3, 1, tzinfo=UTC))
        ops.copy_to_warehouse(store, warehouse.path)
    assert {row["table_name"] for row in bare} >= {"identities", "customer_salt", "runs", "steps", "tests"}
    assert warehouse.rows(columns) == bare


def test_no_lock_is_kept_after_a_build(warehouse_of):
    warehouse = warehouse_of(Bronze())
    warehouse.build("--select", "currencies", *NO_TESTS, as_of=AS_OF)
    with duckdb.connect(str(warehouse.path)) as connection:
        assert connection.execute("select count(*) > 100 from reference.currencies").fetchone() == (True,)
