"""The floors: the least that the same work costs without boxoffice. Each runs as a process of its own."""

import sys
from pathlib import Path

import duckdb

MARTS = ("event_sales", "daily_metrics", "campaign_roi")


def land(folder: Path, warehouse: Path) -> None:
    """The CSV files as text tables, by DuckDB alone."""
    with duckdb.connect(str(warehouse)) as connection:
        for path in sorted(folder.glob("*.csv")):
            connection.execute(
                f"create table {path.stem} as select * from read_csv('{path}', all_varchar = true,"
                " header = true, delim = ',', quote = '\"', escape = '\"', auto_detect = false,"
                f" columns = {_columns(path)})"
            )


def _columns(path: Path) -> dict[str, str]:
    header = path.read_text().partition("\n")[0]
    return dict.fromkeys(header.split(","), "varchar")


def marts_of_sheets(warehouse: Path) -> None:
    """The three marts over the landed sheets, in hand-written SQL."""
    script = Path(__file__).with_name("marts_of_sheets.sql").read_text()
    with duckdb.connect(str(warehouse), config={"threads": 2}) as connection:
        connection.execute(script)


def assert_same_rows(ours: Path, floor: Path) -> None:
    """Raise RuntimeError unless the marts of a build are those of the hand-written SQL."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{ours}' as ours (read_only); attach '{floor}' as floors (read_only)")
        for mart in MARTS:
            columns = ", ".join(
                name
                for (name,) in connection.execute(
                    "select column_name from (describe floors.floor." + mart + ")"
                ).fetchall()
            )
            for one, other in (("ours.gold", "floors.floor"), ("floors.floor", "ours.gold")):
                differing = connection.execute(
                    f"select {columns} from {one}.{mart}"
                    f" except all select {columns} from {other}.{mart} limit 1"
                ).fetchone()
                if differing:
                    raise RuntimeError(f"{mart}: {one} has a row that {other} has not: {differing}")


def assert_same_build(ours: Path, whole: Path) -> None:
    """Raise RuntimeError unless two warehouses hold the same rows in every table that was built."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{ours}' as ours (read_only); attach '{whole}' as whole (read_only)")
        tables = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
            " where table_catalog = 'whole' and table_schema in ('silver', 'gold', 'sync')"
            " and table_type = 'BASE TABLE'"
        ).fetchall()
        for (table,) in tables:
            rows = "select columns(name -> name <> 'build_number') from {}." + table
            for one, other in (("ours", "whole"), ("whole", "ours")):
                differing = connection.execute(
                    f"{rows.format(one)} except all {rows.format(other)} limit 1"
                ).fetchone()
                if differing:
                    raise RuntimeError(f"{table}: {one} has a row that {other} has not: {differing}")


def pull(url: str, folder: Path) -> None:
    """Every Eventbrite listing into parquet files, by dlt's rest_api source as it comes."""
    import dlt
    from dlt.sources.rest_api import rest_api_source

    listings = {
        "events": {"status": "all", "expand": "ticket_classes", "page_size": 50},
        "venues": {},
        "orders": {"expand": "refund_requests"},
        "attendees": {"expand": "promotional_code"},
    }
    organization = "organizations/{resources.organizations.id}/"
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{url}/",
                "auth": {"type": "bearer", "token": "sandbox"},
                "paginator": {
                    "type": "cursor",
                    "cursor_path": "pagination.continuation",
                    "cursor_param": "continuation",
                    "has_more_path": "pagination.has_more_items",
                },
            },
            "resource_defaults": {"primary_key": "id", "write_disposition": "append"},
            "resources": [
                {
                    "name": "organizations",
                    "endpoint": {"path": "users/me/organizations/", "data_selector": "organizations"},
                },
                *(
                    {
                        "name": name,
                        "endpoint": {
                            "path": f"{organization}{name}/",
                            "params": params,
                            "data_selector": name,
                        },
                    }
                    for name, params in listings.items()
                ),
            ],
        }
    )
    pipeline = dlt.pipeline(
        "floor",
        pipelines_dir=str(folder / "dlt"),
        destination=dlt.destinations.filesystem(bucket_url=(folder / "files").as_uri()),
        dataset_name="floor",
    )
    pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["land", folder, warehouse]:
            land(Path(folder), Path(warehouse))
        case ["marts", warehouse]:
            marts_of_sheets(Path(warehouse))
        case ["pull", url, folder]:
            pull(url, Path(folder))
        case _:
            sys.exit(__doc__)
