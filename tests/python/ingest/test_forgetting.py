"""Who asked to be forgotten is in no table any more, whatever the source says again; sales stay."""

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

from boxoffice import ops
from boxoffice.ops import Forgotten
from boxoffice.settings import Settings
from ingest import eventbrite as source
from ingest import forgetting, sheets
from ingest.landing import SourceResult
from tests.python.ingest.eventbrite_server import (
    ORG,
    TOKEN,
    Eventbrite,
    attendee,
    changed,
    event,
    money,
    order,
    serving,
    ticket_class,
)

DAY = datetime(2027, 3, 1, 6, tzinfo=UTC)
KIM = "kim@example.org"
# Whatever tells of Kim: names, addresses and answers of the worlds below.
TRACES = ("kim", "quill", "555-0100", "vegan", "platz 1", "bring the dog")

CUSTOMERS = """customer_id,name,email,city,state,country,created_at,notes
1,Kim Quill, KIM@example.org ,Berlin,BE,DE,2026-01-01,Bring the dog
2,Ana Example,ana@example.org,Bonn,NW,DE,2026-01-02,sister is kim@example.org.
kim@example.org,Kim Quill,kim@example.org,Ulm,,DE,2026-01-03,
3,Kim Quill,kim@example.org,too,many,DE,2026-01-03,cells,here
"""
TICKETS = """ticket_id,event_id,customer_id,purchase_datetime,channel,price_paid,currency,status
1,1,Kim@Example.org,2026-01-05,email,25.00,EUR,valid
2,1,2,2026-01-05,email,25.00,EUR,valid
"""


def people(email: str) -> Forgotten:
    salt = b"salt"
    return Forgotten(salt, frozenset({ops.email_hash(email, salt)}))


NOBODY_YET = Forgotten(b"salt", frozenset())
FORGOTTEN = people(" Kim@EXAMPLE.org")


def profile(name: str, email: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "first_name": name.split()[0], "email": email, **more}


def world() -> dict[str, list[Any]]:
    kim = profile("Kim Quill", " Kim@example.org", cell_phone="555-0100", addresses={"home": {"city": "Ulm"}})
    request = {
        "from_email": "KIM@example.org",
        "from_name": "Kim Quill",
        "message": "Bring the dog",
        "items": [{"status": "processed", "amount_processed": money(5000)}],
    }
    meal = {"question_id": "4", "question": "Meal?", "answer": "Vegan"}
    asked = {"question_id": "5", "question": "Who asked you?", "answer": "It was\nkim@example.org!"}
    ana = profile("Ana Example", "ana@example.org")
    barcodes = [{"barcode": "1000000000120000000001001", "status": "unused"}]
    return {
        "events": [
            event(1, ticket_classes=[ticket_class(1, description="Questions? kim@example.org")]),
            event(2, summary="Ask kim@example.org", ticket_classes=[]),
        ],
        "orders": [
            # With a key nobody knows.
            order(
                1,
                name="Kim Quill",
                email="kim@example.org",
                refund_requests=[request],
                deliver_to=["Platz 1", "Ulm"],
            ),
            order(2, name="Ana Example", email="ana@example.org", refund_requests=[request]),
        ],
        "attendees": [
            attendee(1, profile=kim, answers=[meal], barcodes=barcodes),
            attendee(2, profile=ana, answers=[asked], barcodes=barcodes),
        ],
    }


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Eventbrite, str]]:
    eventbrite = Eventbrite()
    with serving(eventbrite) as url:
        yield eventbrite, url


@pytest.fixture
def eventbrite(server: tuple[Eventbrite, str]) -> Eventbrite:
    server[0].reset()
    server[0].objects[ORG].update(world())
    return server[0]


@pytest.fixture
def settings(server: tuple[Eventbrite, str], tmp_path: Path) -> Settings:
    folder = tmp_path / "sheets"
    folder.mkdir()
    (folder / "customers.csv").write_text(CUSTOMERS)
    (folder / "tickets.csv").write_text(TICKETS)
    return Settings(
        as_of=DAY,
        warehouse_path=tmp_path / "boxoffice.duckdb",
        ops_path=tmp_path / "ops.sqlite",
        marts_path=tmp_path / "marts.duckdb",
        sheets_dir=folder,
        mappings_dir=folder,
        eventbrite_token=TOKEN,
        eventbrite_api_url=server[1],
    )


def load(
    settings: Settings, forgotten: Forgotten = NOBODY_YET, *, day: int = 0, full: bool = False
) -> dict[str, SourceResult]:
    now = replace(settings, as_of=DAY + timedelta(days=day))
    return {
        "sheets": sheets.load(now, full=full, forgotten=forgotten),
        "eventbrite": source.load(now, full=full, forgotten=forgotten, sleep=lambda seconds: None),
    }


def traces(warehouse: Path, words: tuple[str, ...] = TRACES) -> set[tuple[str, str]]:
    """Tables and columns that hold one of the words, over all schemas of the file."""
    found = set()
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        columns = connection.execute(
            "select schema_name || '.' || table_name, column_name from duckdb_columns()"
            " where data_type = 'VARCHAR' and not internal"
        ).fetchall()
        assert len(columns) > 100
        for table, column in columns:
            sql = f'select 1 from {table} where regexp_matches("{column}", $words, $options) limit 1'
            if connection.execute(sql, {"words": "|".join(words), "options": "i"}).fetchall():
                found.add((table, column))
    return found


def rows(settings: Settings, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def bronze(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    tables = [f"bronze_eventbrite.{name}" for name in source.TABLES if name != "listings"]
    tables += ["bronze_sheets.customers", "bronze_sheets.tickets", "bronze_sheets.rejects"]
    return {table: rows(settings, f"select * from {table} order by all") for table in tables}


def second_day(eventbrite: Eventbrite) -> None:
    """Kim's ticket is refunded, so that there are two versions of it and of the order."""
    for kind in ("orders", "attendees"):
        held = eventbrite.objects[ORG][kind]
        held[0] = changed(held[0], 600, costs={"gross": money(5772)})


def test_whoever_is_forgotten_never_lands(eventbrite: Eventbrite, settings: Settings) -> None:
    load(settings)
    assert len(traces(settings.warehouse_path)) > 5, "the search finds what is there"
    settings.warehouse_path.unlink()
    load(settings, FORGOTTEN)
    assert traces(settings.warehouse_path) == set()


def test_whoever_has_landed_is_taken_out_of_every_table(eventbrite: Eventbrite, settings: Settings) -> None:
    load(settings)
    second_day(eventbrite)
    load(settings, day=1)
    assert ("bronze_eventbrite.attendees_history", "payload") in traces(settings.warehouse_path)
    sales = {
        table: rows(
            settings,
            f"select id, changed, landed_at, payload -> 'costs', payload -> 'barcodes', payload ->> 'status'"
            f" from bronze_eventbrite.{table} order by all",
        )
        for table in ("orders", "attendees", "orders_history", "attendees_history")
    }
    # The files are as they were, and Eventbrite has nothing new.
    later = load(settings, FORGOTTEN, day=2)
    assert traces(settings.warehouse_path) == set()
    assert {name: result.status for name, result in later.items()} == {
        "sheets": "partial",
        "eventbrite": "ok",
    }
    assert sum(table.landed for result in later.values() for table in result.tables) == 0
    for table, held in sales.items():
        asked = "id, changed, landed_at, payload -> 'costs', payload -> 'barcodes', payload ->> 'status'"
        assert rows(settings, f"select {asked} from bronze_eventbrite.{table} order by all") == held


def test_told_again_of_somebody_forgotten_nothing_has_changed(
    eventbrite: Eventbrite, settings: Settings
) -> None:
    load(settings)
    load(settings, FORGOTTEN)
    redacted = bronze(settings)
    assert sum(table.landed for table in load(settings, FORGOTTEN, full=True)["eventbrite"].tables) == 0
    assert bronze(settings) == redacted
    # What is blanked in place is what would have landed.
    settings.warehouse_path.unlink()
    load(settings, FORGOTTEN)
    assert bronze(settings) == redacted


def test_others_stay_as_they_are(eventbrite: Eventbrite, settings: Settings) -> None:
    load(settings)
    load(settings, FORGOTTEN)
    (ana,) = rows(
        settings,
        "select payload ->> '$.profile.name', payload ->> '$.answers[0].question',"
        " payload ->> '$.answers[0].answer' from bronze_eventbrite.attendees where id = '20000000002'",
    )
    assert ana == ("Ana Example", "Who asked you?", None)
    requests = rows(
        settings,
        "select payload ->> '$.name', payload ->> '$.refund_requests[0].from_name',"
        " payload ->> '$.refund_requests[0].items[0].amount_processed.value'"
        " from bronze_eventbrite.orders order by id",
    )
    assert requests == [(None, None, "5000"), ("Ana Example", None, "5000")]
    held = rows(settings, "select name, email, city, notes from bronze_sheets.customers order by _record")
    assert held[:2] == [("", "", "Berlin", ""), ("Ana Example", "ana@example.org", "Bonn", "")]


def test_an_email_used_as_a_key_still_joins(eventbrite: Eventbrite, settings: Settings) -> None:
    load(settings)
    load(settings, FORGOTTEN)
    joined = rows(
        settings,
        "select city, price_paid from bronze_sheets.tickets"
        " join bronze_sheets.customers using (customer_id) order by city",
    )
    assert joined == [("Bonn", "25.00"), ("Ulm", "25.00")]


def test_versions_that_differed_in_the_person_only_become_one(
    eventbrite: Eventbrite, settings: Settings
) -> None:
    load(settings)
    attendees = eventbrite.objects[ORG]["attendees"]
    attendees[0] = {**attendees[0], "profile": profile("Kim Quill-Smith", KIM)}
    load(settings, day=1)
    sql = "select id, landed_at from bronze_eventbrite.attendees_history order by all"
    assert len(rows(settings, sql)) == 3
    load(settings, FORGOTTEN, day=2)
    first = DAY.replace(tzinfo=None)
    assert rows(settings, sql) == [("20000000001", first), ("20000000002", first)]


def killed(arm: Callable[[], None], work: Callable[[], Any]) -> None:
    """Does the work in a process of its own, which has to be killed."""
    child = os.fork()
    if child == 0:
        try:
            arm()
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the kill was never reached"


def kill_at(owner: Any, name: str) -> Callable[[], None]:
    def arm() -> None:
        setattr(owner, name, lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL))

    return arm


@pytest.mark.parametrize("step", ["_redact_payloads", "_redact_sheet", "_redact_rejects"])
def test_killed_while_forgetting_the_next_load_does_it(
    eventbrite: Eventbrite, settings: Settings, step: str
) -> None:
    load(settings)
    killed(kill_at(forgetting, step), lambda: forgetting.redact(settings, FORGOTTEN))
    load(settings, FORGOTTEN)
    assert traces(settings.warehouse_path) == set()


@pytest.mark.parametrize("boundary", ["normalize", "load"])
def test_a_load_that_was_killed_brings_nobody_back(
    eventbrite: Eventbrite, settings: Settings, boundary: str
) -> None:
    load(settings)
    undisturbed = replace(settings, warehouse_path=settings.warehouse_path.with_name("undisturbed.duckdb"))
    shutil.copy(settings.warehouse_path, undisturbed.warehouse_path)
    second_day(eventbrite)
    killed(kill_at(dlt.Pipeline, boundary), lambda: source.load(replace(settings, as_of=DAY + timedelta(1))))
    spilled = settings.warehouse_path.with_name("boxoffice.duckdb.tmp")
    spilled.mkdir(exist_ok=True)
    (spilled / "duckdb_temp_storage-0.tmp").write_text(KIM)
    forgetting.redact(settings, FORGOTTEN)
    assert not spilled.exists()
    assert not list(settings.dlt_dir.rglob("*.parquet"))
    for each in (settings, undisturbed):
        load(each, FORGOTTEN, day=1)
        assert traces(each.warehouse_path) == set()
    assert bronze(settings) == bronze(undisturbed)


def test_yesterdays_warehouse_is_cleared_again(eventbrite: Eventbrite, settings: Settings) -> None:
    load(settings)
    copy = settings.warehouse_path.with_suffix(".copy")
    shutil.copy(settings.warehouse_path, copy)
    assert forgetting.redact(settings, FORGOTTEN) > 0
    assert forgetting.redact(settings, FORGOTTEN) == 0
    shutil.copy(copy, settings.warehouse_path)
    load(settings, FORGOTTEN)
    assert traces(settings.warehouse_path) == set()


def test_with_nobody_to_forget_nothing_is_looked_at(
    eventbrite: Eventbrite, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("redact", "blanked", "blanked_rows"):
        monkeypatch.setattr(forgetting, name, None)
    assert load(settings)["eventbrite"].status == "ok"


@pytest.mark.parametrize(
    ("text", "is_theirs"),
    [
        (" KIM@example.org ", True),
        ("Ask kim@example.org.", True),
        ("<mailto:kim@example.org>", True),
        ("https://example.org/?to=kim@example.org", True),
        ("akim@example.org", False),
        ("kim@example.org.uk", False),
        ("kim at example.org", False),
        ("", False),
        (None, False),
    ],
)
def test_an_email_is_found_in_text_and_not_in_another(text: str | None, is_theirs: bool) -> None:
    assert FORGOTTEN.mentioned_in(text) is is_theirs
    assert NOBODY_YET.mentioned_in(text) is False


def test_the_rewritten_file_holds_the_same_and_no_trace(eventbrite: Eventbrite, settings: Settings) -> None:
    load(settings)
    forgetting.redact(settings, FORGOTTEN)
    held = bronze(settings)
    assert KIM.encode() in settings.warehouse_path.read_bytes().lower()
    forgetting.rewrite(settings)
    raw = settings.warehouse_path.read_bytes().lower()
    assert [word for word in (KIM, "kim quill", "555-0100", "bring the dog") if word.encode() in raw] == []
    assert bronze(settings) == held
    assert load(settings, FORGOTTEN)["eventbrite"].status == "ok"


def test_killed_while_rewriting_the_old_file_stands(eventbrite: Eventbrite, settings: Settings) -> None:
    load(settings)
    held = bronze(settings)
    killed(kill_at(Path, "replace"), lambda: forgetting.rewrite(settings))
    assert bronze(settings) == held
    forgetting.rewrite(settings)
    assert bronze(settings) == held
    assert not list(settings.warehouse_path.parent.glob(".*.new*"))
