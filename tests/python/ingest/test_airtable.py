"""Airtable to bronze, over HTTP: what is read, how often it is asked for, and what trouble is called."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from boxoffice.ops import Forgotten, email_hash
from boxoffice.settings import Settings
from ingest import airtable as source
from ingest.landing import SourceResult
from tests.python.ingest.airtable_server import (
    BASE,
    START,
    TOKEN,
    Airtable,
    Time,
    days,
    error,
    field,
    on,
    on_page,
    serving,
)

CAMPAIGNS, ROOMS = "tblCampaigns00001", "tblRooms000000001"
HEADER = "table,role,field,column\n"
MAPPING = HEADER + "Campaigns,campaign,Spent,spend\nCampaigns,campaign,fldEvent,event_id\n"
WITH_ROOMS = MAPPING + "Rooms,venue,Room,name\n"


@dataclass
class World:
    base: Airtable
    settings: Settings
    time: Time

    def pull(self, **options: Any) -> SourceResult:
        """One run at the server's time."""
        self.base.requests.clear()
        self.settings = replace(self.settings, as_of=self.base.now)
        return source.load(self.settings, sleep=self.time.sleep, clock=self.time, **options)

    def map(self, text: str) -> None:
        (self.settings.mappings_dir / source.FILE).write_text(text, encoding="utf-8")

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.warehouse_path), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def held(self, table: str = CAMPAIGNS) -> dict[str, Any]:
        """Present records: id to what was spent."""
        return dict(
            self.ask(
                "select id, (payload -> '$.fields.fldSpend')::double from bronze_airtable.records"
                f" where table_id = '{table}' and missing_since is null order by id"
            )
        )


@contextmanager
def world_in(folder: Path) -> Iterator[World]:
    base, time = Airtable(), Time()
    base.clock = time
    with serving(base) as url:
        settings = Settings(
            as_of=START,
            warehouse_path=folder / "boxoffice.duckdb",
            ops_path=folder / "ops.sqlite",
            marts_path=folder / "marts.duckdb",
            sheets_dir=folder,
            mappings_dir=folder,
            eventbrite_token=None,
            airtable_token=TOKEN,
            airtable_base_id=BASE,
            airtable_api_url=url,
        )
        made = World(base, settings, time)
        made.map(MAPPING)
        yield made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_in(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def first_pull(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a run makes of the base as it is at START."""
    folder = tmp_path_factory.mktemp("first")
    with world_in(folder) as made:
        assert made.pull().status == "ok"
    return folder


@pytest.fixture
def loaded(world: World, first_pull: Path, tmp_path: Path) -> World:
    """The base was read at START."""
    shutil.copytree(first_pull, tmp_path, dirs_exist_ok=True)
    return world


def said(result: SourceResult) -> str:
    return " ".join([*map(str, result.problems), *result.notes])


# --- what is read --------------------------------------------------------------------------------------


def test_only_mapped_tables_are_read_and_cells_are_kept_by_field_id(world: World) -> None:
    result = world.pull()
    assert (result.status, result.problems) == ("ok", [])
    assert world.held() == {"rec1": 10.5, "rec2": 21.0, "rec3": 31.5}
    assert world.ask("select distinct table_id from bronze_airtable.records") == [(CAMPAIGNS,)]
    assert world.ask("select column_name, field_id from bronze_airtable.mappings order by line") == [
        ("spend_amount", "fldSpend"),
        ("event_id", "fldEvent"),
    ]
    names = world.ask("select field_name from bronze_airtable.fields where table_name = 'Rooms'")
    assert names == [("Room",)]
    assert result.requests == len(world.base.requests) == 2


@pytest.mark.usefixtures("loaded")
def test_a_later_run_asks_for_what_changed_with_ten_minutes_of_overlap(world: World) -> None:
    world.base.now += days(0.5)
    world.base.put(CAMPAIGNS, "rec2", fldSpend=99)
    world.base.put(CAMPAIGNS, "rec4", fldSpend=4)
    result = world.pull()
    (query,) = world.base.listings(CAMPAIGNS)
    assert "DATETIME_PARSE('2027-02-01T11:50:00.000Z')" in query["filterByFormula"]
    assert [table.landed for table in result.tables] == [2]
    assert world.held() == {"rec1": 10.5, "rec2": 99, "rec3": 31.5, "rec4": 4}


def test_nothing_new_is_one_call_a_table_and_changes_nothing(world: World) -> None:
    world.map(WITH_ROOMS)
    world.pull()
    before = world.settings.warehouse_path.read_bytes()
    world.base.now += days(0.5)
    result = world.pull()
    assert result.requests == 3
    assert [table.landed for table in result.tables] == [0, 0]
    assert world.settings.warehouse_path.read_bytes() == before


@pytest.mark.usefixtures("loaded")
def test_once_a_day_a_whole_reading_finds_what_no_edit_tells(world: World) -> None:
    world.base.now += days(0.9)
    del world.base.records[CAMPAIGNS]["rec1"]
    world.base.records[CAMPAIGNS]["rec2"]["fldDouble"] = 42  # a formula: no edit
    world.base.records[CAMPAIGNS]["rec9"] = {"fldSpend": 9}  # came in without one
    world.base.edited["rec9"] = START - days(1)
    world.pull()
    assert set(world.held()) == {"rec1", "rec2", "rec3"}
    world.base.now += days(0.1)
    result = world.pull()
    assert set(world.held()) == {"rec2", "rec3", "rec9"}
    assert world.ask(
        "select payload ->> '$.fields.fldDouble' from bronze_airtable.records where id = 'rec2'"
    ) == [("42",)]
    assert "1 records of Campaigns are gone from Airtable" in said(result)
    world.base.put(CAMPAIGNS, "rec1", fldSpend=10.5)
    world.pull()
    assert set(world.held()) == {"rec1", "rec2", "rec3", "rec9"}


@pytest.mark.usefixtures("loaded")
def test_full_reads_everything(world: World) -> None:
    del world.base.records[CAMPAIGNS]["rec1"]
    world.pull(full=True)
    assert set(world.held()) == {"rec2", "rec3"}


@pytest.mark.usefixtures("loaded")
def test_a_renamed_field_is_still_read_and_its_table_anew(world: World) -> None:
    world.base.tables[0]["name"] = "Advertising"
    world.base.tables[0]["fields"][1]["name"] = "Cost"
    world.base.now += days(0.1)
    # The name of a choice, say, is another one without any edit of a record.
    world.base.records[CAMPAIGNS]["rec1"]["fldSpend"] = 7
    result = world.pull()
    assert result.status == "ok"
    assert "'Spent' is called 'Cost' in Airtable now, and is still read" in said(result)
    assert world.held()["rec1"] == 7
    assert world.ask("select field_name from bronze_airtable.fields where field_id = 'fldSpend'") == [
        ("Cost",)
    ]
    # Who takes a name over has it.
    world.base.tables[0]["fields"].append(field("fldNew", "Spent"))
    world.pull()
    assert world.ask("select field_id from bronze_airtable.mappings where column_name = 'spend_amount'") == [
        ("fldNew",)
    ]


@pytest.mark.usefixtures("loaded")
def test_a_watermark_without_its_rows_is_void(world: World) -> None:
    world.base.edited["rec1"] = START - days(1)
    with duckdb.connect(str(world.settings.warehouse_path)) as connection:
        connection.execute("delete from bronze_airtable.records where id = 'rec1'")
    world.base.now += days(0.1)
    world.pull()
    assert set(world.held()) == {"rec1", "rec2", "rec3"}


def test_addresses_of_attachments_are_no_change(world: World) -> None:
    def shown(address: str) -> list[dict[str, str]]:
        return [{"id": "att1", "filename": "a.pdf", "url": address, "type": "application/pdf"}]

    world.base.put(CAMPAIGNS, "rec1", fldSpend=1, fldFile=shown("https://a.example/1"))
    world.pull()
    world.base.records[CAMPAIGNS]["rec1"]["fldFile"] = shown("https://a.example/2")
    assert [table.landed for table in world.pull(full=True).tables] == [0]
    assert world.ask("select count(*) from bronze_airtable.records where payload like '%a.example%'") == [
        (0,)
    ]


def test_people_who_asked_to_be_forgotten_never_land(world: World) -> None:
    ann = {"id": "usr1", "email": "ann@example.org", "name": "Ann Chovy"}
    kim = {"id": "usr2", "email": "kim@example.org", "name": "Kim Buyer"}
    world.base.put(
        CAMPAIGNS, "rec1", fldSpend=1, fldOwner=ann, fldName="ask ANN@example.org", fldTeam=[ann, kim]
    )
    world.pull()
    salt = bytes(16)
    forgotten = Forgotten(salt, frozenset({email_hash("ann@example.org", salt)}))

    def payloads() -> str:
        return str(world.ask("select payload from bronze_airtable.records"))

    assert "Ann Chovy" in payloads()
    world.pull(forgotten=forgotten)
    assert "nn Chovy" not in payloads()
    assert "@example.org" in payloads()
    world.pull(forgotten=forgotten, full=True)
    assert "nn Chovy" not in payloads()
    assert "ANN@" not in payloads()
    assert "Kim Buyer" in payloads()
    assert world.held()["rec1"] == 1


# --- the mapping ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("loaded")
def test_a_wrong_line_is_named_and_the_others_still_load(world: World) -> None:
    wrong = {
        "Campains,campaign,Spent,spend": "names table 'Campains': the base has none.",
        "Rooms,venue,Rom,name": "names field 'Rom': Rooms has none. It has Room.",
        "Rooms,place,Room,name": "has role 'place'. Use one of venue, artist, event, campaign.",
        "Rooms,venue,Room,spend": "has column 'spend', which a venue has not.",
        "Rooms,venue,,name": "has no field.",
        "campaigns,campaign,Name,spend_amount": "maps spend_amount of Campaigns again, after line 2.",
    }
    world.map(MAPPING + "".join(f"{line}\n" for line in wrong))
    result = world.pull()
    assert result.status == "partial"
    for number, problem in enumerate(wrong.values(), 4):
        assert f"Line {number} of {world.settings.mappings_dir / source.FILE} {problem}" in said(result)
    assert len(result.problems) == len(wrong)
    assert [table.read for table in result.tables] == [3]


@pytest.mark.usefixtures("loaded")
def test_nothing_mapped_is_skipped_and_says_how(world: World) -> None:
    (world.settings.mappings_dir / source.FILE).unlink()
    for _ in range(2):
        result = world.pull()
        assert (result.status, result.problems, result.requests) == ("skipped", [], 0)
        assert "Add a line for each field to read" in said(result)
        assert world.ask("select count(*) from bronze_airtable.mappings") == [(0,)]
        world.map(HEADER)


@pytest.mark.usefixtures("loaded")
def test_a_mapping_saved_by_a_spreadsheet_is_read(world: World) -> None:
    world.map("\ufeffTable;Role;Field;Column\r\nCampaigns;Campaign;Spent;Spend\r\n;;;\r\n")
    result = world.pull()
    assert (result.status, [table.read for table in result.tables]) == ("ok", [3])
    assert world.ask("select column_name, field_id from bronze_airtable.mappings") == [
        ("spend_amount", "fldSpend")
    ]


def test_without_a_token_the_tables_exist_all_the_same(world: World) -> None:
    world.settings = replace(world.settings, airtable_token=None)
    result = world.pull()
    assert (result.status, result.notes) == ("skipped", ["Airtable is skipped: AIRTABLE_TOKEN is not set."])
    assert world.ask("select count(*) from bronze_airtable.records") == [(0,)]


def test_a_token_without_a_base_is_named(world: World) -> None:
    world.settings = replace(world.settings, airtable_base_id=None)
    result = world.pull()
    assert result.status == "failed"
    assert "AIRTABLE_BASE_ID is not" in said(result)


def test_doctor_holds_the_mapping_against_the_base_and_lands_nothing(world: World) -> None:
    world.map(MAPPING + "Rooms,venue,Rom,name\nRooms,place,Room,name\n")
    found = list(source.check(world.settings))
    assert [finding.state for finding in found] == ["wrong", "wrong", "ok"]
    assert found[-1].what == f"Base {BASE} shows 3 tables; read are Campaigns."
    assert len(world.base.requests) == 2
    assert not world.settings.warehouse_path.exists()
    world.map(HEADER)
    (off,) = source.check(world.settings)
    assert (off.state, off.remedy) == ("off", source.HOW_TO_MAP)


# --- politeness and trouble ----------------------------------------------------------------------------


def test_doctor_lets_a_renamed_field_pass_that_a_run_still_reads(world: World) -> None:
    world.map(HEADER + "Campaigns,campaign,Spent,spend\nCampaigns,campaign,Never,event_id\n")
    world.base.tables[0]["fields"][1]["name"] = "Cost"
    unseen = list(source.check(world.settings))
    assert [finding.state for finding in unseen] == ["wrong", "wrong", "ok"], "nothing has landed yet"

    world.base.tables[0]["fields"][1]["name"] = "Spent"
    world.pull()
    world.base.tables[0]["fields"][1]["name"] = "Cost"
    wrong, look, ok = source.check(world.settings)
    assert (wrong.state, look.state, ok.state) == ("wrong", "look", "ok")
    assert "'Never'" in wrong.what
    path = world.settings.mappings_dir / source.FILE
    assert look.what == f"Line 2 of {path}: 'Spent' is called 'Cost' in Airtable now, and is still read."
    assert look.remedy == "Write 'Cost', or fldSpend, which never changes."


def many(world: World, count: int) -> None:
    for number in range(count):
        world.base.put(CAMPAIGNS, f"rec{number}", fldSpend=number)


def test_no_second_holds_more_than_five_calls(world: World) -> None:
    many(world, 2500)
    assert world.pull().requests == 26
    arrivals = world.base.arrivals
    assert all(later - first >= 1 for first, later in zip(arrivals, arrivals[5:], strict=False))
    assert arrivals[-1] - arrivals[0] == pytest.approx(25 / 4.5, rel=0.01)


@pytest.mark.usefixtures("loaded")
def test_after_a_429_it_waits_thirty_seconds(world: World) -> None:
    odd = JSONResponse({"errors": [{"error": "RATE_LIMIT_REACHED", "message": "Rate limit exceeded."}]}, 429)
    longer = error(429, "RATE_LIMIT_REACHED", **{"retry-after": "45"})
    world.base.faults = [on(CAMPAIGNS, odd, longer)]
    result = world.pull()
    assert (result.status, [table.read for table in result.tables]) == ("ok", [3])
    assert [seconds for seconds in world.time.sleeps if seconds > 2] == [30, 45]


def test_the_months_calls_used_up_are_told_and_not_retried(world: World) -> None:
    world.map(WITH_ROOMS)
    world.base.faults = [on(CAMPAIGNS, *[error(429, "PUBLIC_API_BILLING_LIMIT_EXCEEDED")] * 9)]
    result = world.pull()
    assert "calls of this month are used up" in said(result)
    assert len(world.base.listings(CAMPAIGNS)) == 1
    assert max(world.time.sleeps) < 2
    assert world.base.listings(ROOMS) == []


def test_the_budget_stops_the_reading_and_names_what_is_unread(world: World) -> None:
    world.map(WITH_ROOMS)
    world.settings = replace(world.settings, airtable_call_budget=2)
    result = world.pull()
    assert (result.status, result.requests) == ("partial", 2)
    assert "AIRTABLE_CALL_BUDGET allows 2 calls a run, and they are made. Not read: Rooms." in said(result)
    # Next time the one that waited is first.
    result = world.pull()
    assert "Not read: Campaigns." in said(result)
    assert len(world.held(ROOMS)) == 1


@pytest.mark.usefixtures("loaded")
def test_passing_trouble_is_retried(world: World) -> None:
    html = PlainTextResponse("<html>Bad gateway</html>", 502)
    world.base.faults = [
        on("tables", error(500, "SERVER_ERROR"), html, PlainTextResponse("not JSON", 200)),
        on(CAMPAIGNS, error(503, "RETRIABLE_ERROR")),
    ]
    result = world.pull()
    assert (result.status, result.failures, result.requests) == ("ok", [], 6)
    assert [table.read for table in result.tables] == [3]


@pytest.mark.usefixtures("loaded")
def test_lasting_trouble_ends_with_a_sentence_and_keeps_what_was_loaded(world: World) -> None:
    world.base.faults = [on(CAMPAIGNS, *[error(500, "SERVER_ERROR")] * 6)]
    result = world.pull(full=True)
    assert result.status == "failed"
    assert "Airtable did not give table Campaigns in 6 attempts: answer 500 SERVER_ERROR." in said(result)
    assert [call.rule_id for call in result.failures] == ["Unavailable"]
    assert TOKEN not in str(result.failures)
    assert len(world.held()) == 3


def test_a_refusal_names_the_setting_or_the_table(world: World) -> None:
    unknown = error(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")
    for where, answer, words in (
        ("tables", error(401, "UNAUTHORIZED"), "AIRTABLE_TOKEN is refused by Airtable (401 UNAUTHORIZED)."),
        ("tables", unknown, f"AIRTABLE_TOKEN may not read the base's tables of base {BASE}"),
        ("tables", JSONResponse({"error": "NOT_FOUND"}, 404), "Check AIRTABLE_BASE_ID"),
        (CAMPAIGNS, error(403, "INVALID_PERMISSIONS"), "AIRTABLE_TOKEN may not read table Campaigns of base"),
        (CAMPAIGNS, error(422, "INVALID_REQUEST_UNKNOWN"), "not accept the request for table Campaigns"),
    ):
        world.base.faults = [on(where, answer)]
        result = world.pull()
        assert result.status == "failed"
        assert words in said(result)
        assert TOKEN not in said(result)
        assert len([path for path, _ in world.base.requests if path.endswith(where)]) == 1
    assert world.ask("select count(*) from bronze_airtable.records") == [(0,)]


def lost() -> Response:
    return JSONResponse({"error": {"type": "LIST_RECORDS_ITERATOR_NOT_AVAILABLE"}}, 422)


def test_a_lost_iterator_begins_the_listing_again_and_drops_what_came(world: World) -> None:
    many(world, 250)

    def vanish() -> None:
        if len(world.base.listings(CAMPAIGNS)) == 3:
            world.base.records[CAMPAIGNS].pop("rec7", None)

    world.base.afterwards = vanish
    world.base.faults = [on_page(CAMPAIGNS, 3, lost(), lost(), lost())]
    result = world.pull()
    assert result.status == "ok"
    assert len(world.held()) == 249
    assert "rec7" not in world.held()
    world.base.faults = [on_page(CAMPAIGNS, 3, *[lost() for _ in range(4)])]
    result = world.pull(full=True)
    assert "Airtable lost its place in table Campaigns 4 times" in said(result)
    assert len(world.held()) == 249


def test_of_a_record_that_comes_twice_the_later_one_counts(world: World) -> None:
    many(world, 150)

    def move() -> None:
        # Behind the first page the record comes a second time, edited.
        records = world.base.records[CAMPAIGNS]
        if len(world.base.listings(CAMPAIGNS)) == 1 and "recX" not in records:
            del records["rec1"]
            world.base.records[CAMPAIGNS] = {"recX": {"fldSpend": -1}, **records, "rec1": {"fldSpend": 777}}

    world.base.afterwards = move
    world.pull()
    assert world.held()["rec1"] == 777


def test_calls_a_month_are_told_at_the_present_schedule(world: World) -> None:
    many(world, 250)
    note = said(world.pull())
    # 720 runs of a schema and a page; and once a day two pages more.
    assert "4 calls to Airtable; a run every 60 minutes (SCHEDULE_MINUTES) makes about 1,500 a month." in note
    assert "The Free plan allows 1,000: a run every 92 minutes would keep to it." in note
    world.settings = replace(world.settings, schedule_minutes=240)
    assert "makes about 420 a month." in said(world.pull())


# --- kills and restored warehouses ---------------------------------------------------------------------


class Killed(BaseException):
    """As good as kill -9 for what is on disk."""


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize("moment", ["before any load", "after the rows"])
def test_a_killed_run_is_made_good_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    world.base.now += days(0.5)
    world.base.put(CAMPAIGNS, "rec2", fldSpend=99)
    real: Callable[..., None] = source.landing.land
    loads = 0

    def land(*arguments: Any) -> None:
        nonlocal loads
        if moment == "after the rows" and loads == 0:
            loads += 1
            return real(*arguments)
        raise Killed

    monkeypatch.setattr(source.landing, "land", land)
    with pytest.raises(Killed):
        world.pull()
    monkeypatch.setattr(source.landing, "land", real)
    world.base.put(CAMPAIGNS, "rec3", fldSpend=3)
    world.pull()
    assert world.held() == {"rec1": 10.5, "rec2": 99, "rec3": 3}


@pytest.fixture(scope="module")
def second_pull(first_pull: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the next run makes of one edit."""
    folder = tmp_path_factory.mktemp("second")
    shutil.copytree(first_pull, folder, dirs_exist_ok=True)
    with world_in(folder) as made:
        made.base.now += days(0.5)
        made.base.put(CAMPAIGNS, "rec2", fldSpend=99)
        assert made.pull().status == "ok"
    return folder


@pytest.mark.parametrize("gone", [("warehouse",), ("dlt",), ("warehouse", "dlt"), ("today",)])
def test_whatever_was_lost_bronze_is_as_if_read_afresh(
    world: World, first_pull: Path, second_pull: Path, tmp_path: Path, gone: tuple[str, ...]
) -> None:
    shutil.copytree(second_pull, tmp_path, dirs_exist_ok=True)
    world.base.now += days(0.5)
    world.base.put(CAMPAIGNS, "rec2", fldSpend=99)
    warehouse = world.settings.warehouse_path
    if "warehouse" in gone:
        warehouse.unlink()
    if "dlt" in gone:
        shutil.rmtree(world.settings.dlt_dir)
    if "today" in gone:
        shutil.copy(first_pull / warehouse.name, warehouse)
    world.base.put(CAMPAIGNS, "rec3", fldSpend=3)
    world.pull()
    assert world.held() == {"rec1": 10.5, "rec2": 99, "rec3": 3}
