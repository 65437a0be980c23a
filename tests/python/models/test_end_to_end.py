"""From the stand-in's API and the sample sheets to gold: the truth that was summed as they were invented."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import requests

from boxoffice import settings as boxoffice_settings
from boxoffice import stand_ins
from ingest import airtable, eventbrite, sheets
from tests.python.models import bronze, oracle
from tests.python.models.bronze import Row
from tests.python.models.compare import KEYS, differences, keyed
from tests.python.models.test_postgres import assert_same
from tests.python.models.warehouse import FILE, ROOT, Warehouse

FIRST_DAY = "2026-03-01T12:00:00"
MONEY = ("gross_revenue", "refunds_amount", "fees_amount", "tax_amount", "net_revenue")
BUILD = ("--exclude-resource-type", "unit_test")


def test_gold_is_the_sandbox_truth_on_both_engines_and_stays_so_on_a_later_day(dbt, postgres, tmp_path):
    with stand_in(tmp_path / "state") as addresses:
        warehouse = Warehouse(tmp_path / FILE, dbt)
        land(warehouse.path, addresses, FIRST_DAY)
        warehouse.build(*BUILD, as_of=FIRST_DAY)
        assert lies(warehouse, truth(addresses, FIRST_DAY)) == []
        assert lies_of_oracle(warehouse, FIRST_DAY) == []

        passed = control(addresses, "evolve", {"days": 2})
        assert passed["changed"]["attendees"]
        assert passed["vanished"]
        later = passed["as_of"].removesuffix("+00:00")
        land(warehouse.path, addresses, later)
        changed = versions(warehouse)
        # What is gone can only be seen by reading all; all that changed was seen without.
        land(warehouse.path, addresses, later, full=True)
        assert versions(warehouse) == changed
        warehouse.build(*BUILD, as_of=later)
        assert lies(warehouse, truth(addresses, later)) == []
        assert lies_of_oracle(warehouse, later) == []

        # Somebody who begins today holds the same objects, without the versions nobody can tell them of.
        fresh = Warehouse(tmp_path / "fresh" / FILE, dbt)
        land(fresh.path, addresses, later)
        assert present(fresh) == present(warehouse)

        # What people keep in Airtable: places, shows of their own, and what campaigns cost.
        land(warehouse.path, addresses, later, airtable)
        warehouse.build(*BUILD, as_of=later)
        assert lies(warehouse, truth(addresses, later, airtable=1)) == []
        assert lies_of_oracle(warehouse, later) == []
        postgres.load_from(warehouse.path)
        postgres.build(*BUILD, as_of=later)
        assert_same(warehouse, postgres, "gold", least=10)
        assert_same(warehouse, postgres, "sync", least=4)


def present(warehouse: Warehouse) -> list[Row]:
    return [
        row
        for table in ("events", "venues", "ticket_classes", "orders", "attendees", "questions", "discounts")
        for row in warehouse.rows(
            f"select id, payload_hash from bronze_eventbrite.{table} "
            "where missing_since is null order by 1, 2"
        )
    ]


def versions(warehouse: Warehouse) -> list[Row]:
    return [
        row
        for table in ("orders_history", "attendees_history", "orders", "attendees")
        for row in warehouse.rows(f"select id, payload_hash from bronze_eventbrite.{table} order by 1, 2")
    ]


def land(path: Path, addresses: dict[str, str], as_of: str, *sources: Any, full: bool = False) -> None:
    """Ingest the sources, sheets and Eventbrite without any, incrementally if the warehouse has something."""
    settings = boxoffice_settings.load(
        {
            "DATABASE_URL": f"duckdb:///{path}",
            "EVENTBRITE_API_URL": addresses["eventbrite"],
            "EVENTBRITE_TOKEN": "sandbox",
            "AIRTABLE_API_URL": addresses["airtable"],
            "AIRTABLE_TOKEN": stand_ins.TOKEN,
            "AIRTABLE_BASE_ID": stand_ins.AIRTABLE_BASE,
            "MAPPINGS_DIR": str(ROOT / "sandbox/mappings"),
            "SHEETS_DIR": str(ROOT / "data/sample"),
            "BOXOFFICE_AS_OF": as_of + "Z",
        }
    )
    airtable.ensure_tables(settings)
    for source in sources or (sheets, eventbrite):
        result = source.load(settings, full=full)
        assert result.status in ("ok", "partial"), [str(problem) for problem in result.problems]


@contextmanager
def stand_in(state: Path) -> Iterator[dict[str, str]]:
    """The sandbox's addresses while it serves."""
    command = [sys.executable, "-m", "sandbox", "serve", "--state", str(state), "--rate-limit", "100000"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def control(addresses: dict[str, str], word: str, wish: Row | None = None) -> Any:
    url = f"{addresses['control']}/{word}"
    answer = requests.post(url, json=wish, timeout=60) if wish is not None else requests.get(url, timeout=60)
    answer.raise_for_status()
    return answer.json()


def truth(addresses: dict[str, str], as_of: str, *, airtable: int = 0) -> Row:
    return control(addresses, f"truth?sheets=1&airtable={airtable}&as_of={as_of}Z")


def lies(warehouse: Warehouse, told: Row) -> list[str]:
    """Where gold and the truth differ."""
    found = differences(
        "event_sales",
        {
            key: _decimal({name: value for name, value in row.items() if name not in ("money", "is_deleted")})
            for key, row in told["events"].items()
        },
        keyed("event_sales", warehouse.rows("gold.event_sales")),
    )
    found += differences(
        "event_money",
        {
            (key, _code(currency)): _decimal(money)
            for key, row in told["events"].items()
            for currency, money in row["money"].items()
        },
        _without_zeros("event_money", warehouse),
    )
    days = {
        (day, _code(currency)): _decimal(row)
        for day, rows in [
            *((date.fromisoformat(day), rows) for day, rows in told["daily"].items()),
            (None, told["undated"]),
        ]
        for currency, row in rows.items()
    }
    found += differences(
        "daily_metrics",
        {key: row for key, row in days.items() if any(row.values())},
        _without_zeros("daily_metrics", warehouse),
    )
    found += differences(
        "campaign_roi",
        {(row["event_key"], row["channel"]): _decimal(row) for row in told["campaigns"]},
        keyed("campaign_roi", warehouse.rows("gold.campaign_roi")),
    )
    return found[:20]


def lies_of_oracle(warehouse: Warehouse, as_of: str) -> list[str]:
    """Where gold and the second account of the same bronze differ."""
    expected = oracle.gold(bronze.read(warehouse.path), as_of)
    found = []
    for mart in KEYS:
        found += differences(mart, expected[mart], keyed(mart, warehouse.rows(f"gold.{mart}")))
    return found[:20]


def _without_zeros(mart: str, warehouse: Warehouse) -> dict[Any, Row]:
    rows = keyed(mart, warehouse.rows(f"gold.{mart}"))
    counted = ("tickets_sold", *MONEY) if mart == "daily_metrics" else MONEY
    return {key: row for key, row in rows.items() if any(row[name] for name in counted)}


def _decimal(row: Row) -> Row:
    money = (*MONEY, "spend", "conv_revenue")
    return {name: Decimal(value) if name in money and value else value for name, value in row.items()}


def _code(currency: str) -> str | None:
    """JSON has no null for a name."""
    return None if currency in ("null", "None") else currency
