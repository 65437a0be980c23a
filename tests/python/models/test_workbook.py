"""What a Google workbook holds that cannot be read is named with the row of its tab."""

import json
from pathlib import Path

from boxoffice import settings as boxoffice_settings
from ingest import airtable, eventbrite, sheets
from sandbox.server import running
from tests.python.models.warehouse import FILE, Warehouse

DATE = {"shown": "3/1/2016", "value": 42430, "is_date": True}
TABS = {
    **{sheet: [sheets.HEADERS[sheet]] for sheet in sheets.WORKBOOKS["events"]},
    "venues": [
        sheets.HEADERS["venues"],
        ["v1", "Hall\nupper floor", "", "", "US", {"shown": "1,200", "value": 1200}],
        [],
        ["v2", "Barn", "", "", "US", "about 90"],
    ],
    "events": [
        sheets.HEADERS["events"],
        ["e1", "", "v1", DATE, "completed", {"shown": "$20.50", "value": 20.5}, "USD"],
        ["e2", "", "v2", "2016-03-01", "completed", {"shown": "12%", "value": 0.12}, "USD"],
    ],
}


def test_what_is_shown_in_a_way_that_cannot_be_read_is_named_and_not_guessed(dbt, tmp_path: Path) -> None:
    with running() as stand_in:
        titles = [tab["title"] for tab in stand_in.call("GET", "/google/")["tabs"]]
        stand_in.call("POST", "/google/workbook", {"delete": titles})
        about = stand_in.call("POST", "/google/workbook", {"tabs": TABS})
        key = tmp_path / "key.json"
        key.write_text(json.dumps(stand_in.call("GET", "/google/credentials")))
        settings = boxoffice_settings.load(
            {
                "DATABASE_URL": f"duckdb:///{tmp_path / FILE}",
                "SHEETS_URL": about["sheets_url"],
                "GOOGLE_APPLICATION_CREDENTIALS": str(key),
                "GOOGLE_API_URL": about["api_url"],
            }
        )
        assert sheets.load(settings).status == "ok"
    for source in (eventbrite, airtable):
        source.ensure_tables(settings)

    warehouse = Warehouse(tmp_path / FILE, dbt)
    warehouse.build("--select", "+data_issues", "+venues", "--exclude-resource-type", "unit_test", "test")
    issues = warehouse.rows(
        "select file, line, column_name, value, severity from silver.data_issues "
        "where source = 'sheets' and severity = 'blanked' order by file, line"
    )
    assert [tuple(issue.values()) for issue in issues] == [
        ("events", 2, "event_date", "3/1/2016", "blanked"),
        ("events", 3, "ticket_price", "12%", "blanked"),
        ("venues", 4, "capacity", "about 90", "blanked"),
    ]
    assert warehouse.rows("select capacity from silver.venues order by venue_id") == [
        {"capacity": 1200},
        {"capacity": None},
    ]
