"""`python -m ingest`: a source that fails leaves the other alone, and the exit code tells."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner

from ingest import __main__ as command
from ingest import eventbrite as source
from ingest import sheets
from tests.python.ingest.eventbrite_server import TOKEN, Eventbrite, always, error, serving

ARTISTS = "artist_id,name,genre,country,created_at\n1,a,b,c,d\n"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Eventbrite, str]]:
    eventbrite = Eventbrite()
    with serving(eventbrite) as url:
        yield eventbrite, url


@pytest.fixture
def eventbrite(server: tuple[Eventbrite, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Eventbrite:
    server[0].reset()
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / "artists.csv").write_text(ARTISTS)
    monkeypatch.setenv("DATABASE_URL", f"duckdb:///{tmp_path}/x.duckdb")
    monkeypatch.setenv("SHEETS_DIR", str(tmp_path / "sheets"))
    monkeypatch.setenv("EVENTBRITE_TOKEN", TOKEN)
    monkeypatch.setenv("EVENTBRITE_API_URL", server[1])
    return server[0]


def ingested(tmp_path: Path) -> tuple[int, dict[str, str], tuple[int, int]]:
    """The exit code, the status of each source, and the artists and orders in bronze."""
    ended = CliRunner().invoke(command.main, ["--json"])
    statuses = {step["name"]: step["status"] for step in json.loads(ended.stdout)["steps"]}
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as connection:
        (held,) = connection.execute(
            "select (select count(*) from bronze_sheets.artists),"
            " (select count(*) from bronze_eventbrite.orders)"
        ).fetchall()
    return ended.exit_code, statuses, held


def test_a_refused_token_does_not_stop_the_sheets(eventbrite: Eventbrite, tmp_path: Path) -> None:
    eventbrite.faults = [always("organizations", error(401, "INVALID_AUTH"))]
    code, statuses, held = ingested(tmp_path)
    assert (code, statuses["eventbrite"], held) == (1, "failed", (1, 0))


def test_an_unreadable_folder_of_sheets_does_not_stop_eventbrite(
    eventbrite: Eventbrite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHEETS_DIR", str(tmp_path / "nowhere"))
    code, statuses, held = ingested(tmp_path)
    assert (code, statuses["sheets"], statuses["eventbrite"], held) == (1, "failed", "ok", (0, 3))


@pytest.mark.parametrize(
    ("module", "part", "held"), [(sheets, "_files_in_use", (0, 3)), (source, "_Pull", (1, 0))]
)
def test_what_nobody_foresaw_in_one_source_does_not_stop_the_other(
    eventbrite: Eventbrite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    part: str,
    held: tuple[int, int],
) -> None:
    monkeypatch.setattr(module, part, lambda *args, **kwargs: 1 / 0)
    code, statuses, found = ingested(tmp_path)
    assert (code, statuses[module.SOURCE], found) == (1, "failed", held)
