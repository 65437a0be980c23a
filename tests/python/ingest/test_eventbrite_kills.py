"""kill -9 at every boundary of a pull: the next run brings bronze to where an undisturbed one would have."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from boxoffice.settings import Settings
from ingest import eventbrite as source
from ingest import landing
from tests.python.ingest.eventbrite_server import (
    ORG,
    TOKEN,
    Eventbrite,
    Time,
    attendee,
    changed,
    event,
    order,
    serving,
    ticket_class,
)

DAY = datetime(2027, 3, 1, 6, tzinfo=UTC)


def settings_in(folder: Path, url: str) -> Settings:
    return Settings(
        as_of=DAY,
        warehouse_path=folder / "boxoffice.duckdb",
        ops_path=folder / "ops.sqlite",
        marts_path=folder / "marts.duckdb",
        sheets_dir=folder,
        mappings_dir=folder,
        eventbrite_token=TOKEN,
        eventbrite_api_url=url,
    )


def pull(settings: Settings, day: int, *, full: bool = True) -> str:
    time = Time()
    now = replace(settings, as_of=DAY + timedelta(days=day))
    return source.load(now, full=full, sleep=time.sleep, clock=time).status


def bronze(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        connection.execute("use bronze_eventbrite")
        return {
            name: connection.execute(f"select * from {name} order by all").fetchall()
            for name in source.TABLES
        }


class Days:
    """A server on its second day, a warehouse from its first, and bronze as it should be after the second."""

    def __init__(self, url: str, folder: Path, eventbrite: Eventbrite) -> None:
        self._url, self._yesterday = url, folder / "yesterday"
        self._yesterday.mkdir()
        assert pull(settings_in(self._yesterday, url), 0) == "ok"
        world = eventbrite.objects[ORG]
        world["orders"] = [*world["orders"][1:2], changed(order(3), 500, status="refunded"), order(4)]
        world["attendees"] = [*world["attendees"][1:2], changed(attendee(3), 500, refunded=True), attendee(4)]
        world["events"].append(event(3, ticket_classes=[ticket_class(3, 3)]))
        eventbrite.by_event["questions", "800000000003"] = [{"id": "1"}]
        undisturbed = self.copy(folder / "undisturbed")
        assert pull(undisturbed, 1) == "ok"
        self.expected = bronze(undisturbed)
        changes_only = self.copy(folder / "changes_only")
        assert pull(changes_only, 1, full=False) == "ok"
        self.expected_changes = bronze(changes_only)
        fresh = settings_in(folder / "fresh", url)
        assert pull(fresh, 1) == "ok"
        self.expected_fresh = bronze(fresh)

    def copy(self, folder: Path) -> Settings:
        """Yesterday's warehouse, with dlt's folder, to go on with."""
        shutil.copytree(self._yesterday, folder, dirs_exist_ok=True)
        return settings_in(folder, self._url)

    def restore(self, settings: Settings) -> None:
        """Yesterday's warehouse alone: what dlt remembers stays."""
        shutil.copy(self._yesterday / settings.warehouse_path.name, settings.warehouse_path)
        settings.warehouse_path.with_suffix(".duckdb.wal").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    eventbrite = Eventbrite()
    with serving(eventbrite) as url:
        yield Days(url, tmp_path_factory.mktemp("days"), eventbrite)


def kill_at(owner: Any, name: str, call: int, *, after: bool = False) -> Callable[[], None]:
    """Arms a kill at the nth call of a function: before it begins, or after it ended."""

    def arm() -> None:
        genuine, calls = getattr(owner, name), 0

        def killed(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = genuine(*args, **kwargs)
            if calls == call and after:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        setattr(owner, name, killed)

    return arm


def kill_between_delete_and_insert() -> None:
    from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

    genuine = DuckDbSqlClient.execute_sql

    def execute(self: Any, sql: Any, *args: Any, **kwargs: Any) -> Any:
        answer = genuine(self, sql, *args, **kwargs)
        if str(sql).startswith("DELETE") and "orders" in str(sql):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    DuckDbSqlClient.execute_sql = execute


def killed_pull(settings: Settings, arm: Callable[[], None], *, full: bool = True) -> None:
    """Pulls the second day in a process of its own, which has to be killed."""
    child = os.fork()
    if child == 0:
        try:
            arm()
            pull(settings, 1, full=full)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the kill was never reached"


BOUNDARIES = {
    "while reading": kill_at(source._Stage, "close", 3),
    "before anything is extracted": kill_at(dlt.Pipeline, "extract", 1),
    "after the rows are extracted": kill_at(dlt.Pipeline, "normalize", 1),
    "after the rows are normalized": kill_at(dlt.Pipeline, "load", 1),
    "between two tables": kill_at(landing._UpsertJob, "run", 3),
    "in the middle of a table": kill_between_delete_and_insert,
    "after the rows are loaded": kill_at(dlt.Pipeline, "load", 1, after=True),
    "between rows and watermark": kill_at(landing, "land", 2),
    "after the watermark is extracted": kill_at(dlt.Pipeline, "normalize", 2),
    "after the watermark is normalized": kill_at(dlt.Pipeline, "load", 2),
    "after the watermark is loaded": kill_at(dlt.Pipeline, "load", 2, after=True),
}


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_killed_pull_is_made_good_by_the_next(days: Days, tmp_path: Path, boundary: str) -> None:
    settings = days.copy(tmp_path)
    killed_pull(settings, BOUNDARIES[boundary])
    assert pull(settings, 1) == "ok"
    assert bronze(settings) == days.expected
    assert not (settings.dlt_dir / "eventbrite_pages").exists()


@pytest.mark.parametrize("boundary", ["between two tables", "between rows and watermark"])
def test_a_killed_pull_of_changes_is_made_good_by_the_next(days: Days, tmp_path: Path, boundary: str) -> None:
    settings = days.copy(tmp_path)
    killed_pull(settings, BOUNDARIES[boundary], full=False)
    assert pull(settings, 1, full=False) == "ok"
    assert bronze(settings) == days.expected_changes


@pytest.mark.parametrize("boundary", ["after the rows are normalized", "after the watermark is normalized"])
def test_what_a_kill_left_does_no_harm_to_yesterdays_warehouse(
    days: Days, tmp_path: Path, boundary: str
) -> None:
    settings = days.copy(tmp_path)
    killed_pull(settings, BOUNDARIES[boundary])
    days.restore(settings)
    assert pull(settings, 1) == "ok"
    assert bronze(settings) == days.expected


@pytest.mark.parametrize("boundary", ["after the rows are normalized", "after the watermark is normalized"])
def test_what_a_kill_left_does_no_harm_to_a_new_warehouse(days: Days, tmp_path: Path, boundary: str) -> None:
    settings = days.copy(tmp_path)
    killed_pull(settings, BOUNDARIES[boundary])
    settings.warehouse_path.unlink()
    settings.warehouse_path.with_suffix(".duckdb.wal").unlink(missing_ok=True)
    assert pull(settings, 1) == "ok"
    assert bronze(settings) == days.expected_fresh


def test_a_watermark_left_by_a_kill_is_not_believed(days: Days, tmp_path: Path) -> None:
    settings = days.copy(tmp_path)
    killed_pull(settings, BOUNDARIES["after the watermark is normalized"])
    days.restore(settings)
    landing.finish_rows(landing.pipeline_for(source.SOURCE, settings), settings)
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        (latest,) = connection.execute("select max(watermark) from bronze_eventbrite.listings").fetchall()
    assert latest == (datetime(2027, 2, 1, 0, 3, tzinfo=UTC).replace(tzinfo=None),)
