"""The source against the sandbox's Eventbrite, a process of its own: first pull, nothing new, a later day."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import requests

from boxoffice.settings import Settings
from ingest import eventbrite as source

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "sandbox", "serve", "--state", str(tmp_path / "state"), "--port", "0"]
    with subprocess.Popen(
        [*command, "--attendees", "300"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def test_the_sandbox_is_pulled_whole_and_then_by_what_changed(
    sandbox: dict[str, str], tmp_path: Path
) -> None:
    def ask(path: str, method: str = "GET", **body: Any) -> Any:
        return requests.request(method, sandbox["control"] + path, json=body or None, timeout=60).json()

    def pull(*, full: bool = False) -> dict[str, int]:
        result = source.load(settings, full=full)
        assert (result.status, result.problems) == ("ok", [])
        return {table.table: table.landed for table in result.tables if table.landed}

    def held(name: str) -> set[tuple[str, str]]:
        with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
            rows = connection.execute(
                f"select id, payload->>'changed' from bronze_eventbrite.{name} where missing_since is null"
            ).fetchall()
        assert len(rows) == len({key for key, _ in rows})
        return set(rows)

    def shown(name: str) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for organization in listing("users/me/organizations/", "organizations"):
            path = f"organizations/{organization['id']}/{name}/"
            found |= {(each["id"], each["changed"]) for each in listing(path, name)}
        return found

    def listing(path: str, key: str) -> list[dict[str, Any]]:
        rows, query = [], {"status": "all"} if key == "events" else {}
        while True:
            page = requests.get(
                f"{sandbox['eventbrite']}/{path}",
                params=query,
                headers={"Authorization": "Bearer sandbox"},
                timeout=60,
            ).json()
            rows += page[key]
            if not page["pagination"]["has_more_items"]:
                return rows
            query["continuation"] = page["pagination"]["continuation"]

    settings = Settings(
        as_of=datetime(2026, 3, 1, tzinfo=UTC),
        warehouse_path=tmp_path / "boxoffice.duckdb",
        ops_path=tmp_path / "ops.sqlite",
        marts_path=tmp_path / "marts.duckdb",
        sheets_dir=tmp_path,
        mappings_dir=tmp_path,
        eventbrite_token="sandbox",
        eventbrite_api_url=sandbox["eventbrite"],
    )
    first = pull()
    assert first["attendees"] >= 300
    for name in ("events", "orders", "attendees"):
        assert held(name) == shown(name)
    assert pull() == {}
    ask("/evolve", "POST", days=1)
    later = pull()
    assert 0 < later["attendees"] < first["attendees"]
    for name in ("events", "orders", "attendees"):
        assert held(name) >= shown(name)
    # Some are gone that day, which only a whole listing tells.
    pull(full=True)
    for name in ("events", "orders", "attendees"):
        assert held(name) == shown(name)
