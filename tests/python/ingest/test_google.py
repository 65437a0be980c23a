"""A Google workbook lands like CSV files, shared by link or read by a service account."""

import csv
import json
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pytest
from google.auth.crypt import RSASigner

from boxoffice import settings as settings_module
from boxoffice.errors import BoxofficeError, ConfigurationError
from boxoffice.ops import Ops, opened
from boxoffice.settings import Settings
from ingest import google, sheets
from ingest.landing import SourceResult, quiet
from sandbox.server import StandIn, running

WAYS = ("link", "account")
ARTISTS = sheets.HEADERS["artists"]
VENUES = sheets.HEADERS["venues"]
EVENT_SHEETS = list(sheets.WORKBOOKS["events"])
DATE = {"shown": "3/1/2016", "value": 42430, "is_date": True}


def rows_of(sheet: str, *rows: list[Any]) -> list[list[Any]]:
    return [list(sheets.HEADERS[sheet]), *rows]


# A workbook of every event sheet, mostly empty but for the header.
TABS: dict[str, list[list[Any]]] = {
    **{sheet: rows_of(sheet) for sheet in EVENT_SHEETS},
    "artists": rows_of(
        "artists",
        ["1", "The “Example”, Ltd", "rock;pop", "DE", "2020-01-01"],
        [],
        ["2", "two\nlines", "", "", DATE],
        ["3", "Zoë", "jazz"],
        ["", " ", "", "", ""],
        ["3", "again", "jazz", "", "2020-01-02", ""],
    ),
}


class Book:
    """A workbook at the stand-in, and the warehouse it lands in."""

    def __init__(self, stand_in: StandIn, root: Path, way: str) -> None:
        self.stand_in, self.root, self.way = stand_in, root, way
        self.waits: list[float] = []
        (root / "mappings").mkdir(exist_ok=True)
        self.key = root / "key.json"
        self.key.write_text(json.dumps(stand_in.call("GET", "/google/credentials")))
        self.map()

    def map(self, *lines: str) -> None:
        """Write google_tabs.csv: the tabs there are, or the lines given."""
        found = [f"{tab['title']},{tab['gid']}" for tab in self.about["tabs"]]
        text = "\n".join(("sheet,gid", *(lines or found)))
        (self.root / "mappings" / google.TABS).write_text(text + "\n", encoding="utf-8")

    @property
    def about(self) -> dict[str, Any]:
        found: dict[str, Any] = self.stand_in.call("GET", "/google/")
        return found

    def settings(self, **more: str) -> Settings:
        account = {"GOOGLE_APPLICATION_CREDENTIALS": str(self.key), "GOOGLE_API_URL": self.stand_in.google}
        return settings_module.load(
            {
                "DATABASE_URL": f"duckdb:///{self.root}/{self.way}.duckdb",
                "SHEETS_URL": self.about["sheets_url"] + "?gid=0#gid=0",
                "MAPPINGS_DIR": str(self.root / "mappings"),
                "BOXOFFICE_AS_OF": "2026-03-01T12:00:00Z",
                **(account if self.way == "account" else {}),
                **more,
            }
        )

    def edit(self, **wish: Any) -> None:
        self.stand_in.call("POST", "/google/workbook", wish)

    def fault(self, do: str, **more: Any) -> None:
        self.stand_in.call("POST", "/google/faults", {"do": do, **more})

    def load(self, **options: Any) -> SourceResult:
        return sheets.load(self.settings(), sleep=self.waits.append, **options)

    def read(self, **more: str) -> google.Workbook:
        """The workbook read, without a warehouse."""
        folder = self.root / "scratch"
        folder.mkdir(exist_ok=True)
        book = google.Workbook(self.settings(**more), folder, sheets.HEADERS, self.waits.append, quiet)
        book.read()
        return book

    def trouble(self, **more: str) -> str:
        """What is said when nothing can be read."""
        folder = self.root / "scratch"
        folder.mkdir(exist_ok=True)
        self.tried = google.Workbook(self.settings(**more), folder, sheets.HEADERS, self.waits.append, quiet)
        with pytest.raises(BoxofficeError) as caught:
            self.tried.read()
        return str(caught.value)

    def requests(self) -> list[str]:
        calls = self.stand_in.call("DELETE", "/google/requests")["requests"]
        return [call["path"].rpartition("/")[2] for call in calls]

    def rows(self, query: str) -> list[tuple]:
        return ask(self.root / f"{self.way}.duckdb", query)

    def artists(self) -> list[tuple]:
        return self.rows(f"select _line, {','.join(ARTISTS)} from bronze_sheets.artists order by _record")


def ask(path: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.sql(query).fetchall()


@pytest.fixture(scope="module", autouse=True)
def quick_keys() -> Iterator[None]:
    """Reading a private key checks its numbers, which takes longer than most of these tests."""
    read = RSASigner.from_string.__func__  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RSASigner, "from_string", classmethod(cache(read)))
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with running() as stand_in:
        yield stand_in


@pytest.fixture
def stand_in(server: StandIn) -> StandIn:
    server.call("DELETE", "/google/faults")
    server.call("POST", "/google/settings", {"quota": {"user": 60, "project": 300}, "login_status": 200})
    found = server.call("GET", "/google/")
    strangers = [tab["title"] for tab in found["tabs"] if tab["title"] not in TABS]
    shared = {"exists": True, "is_public": True, "shared_with": [found["service_account"]]}
    server.call("POST", "/google/workbook", {"tabs": TABS, "delete": strangers, **shared})
    server.call("DELETE", "/google/requests")
    return server


@pytest.fixture(params=WAYS)
def book(request: pytest.FixtureRequest, stand_in: StandIn, tmp_path: Path) -> Book:
    return Book(stand_in, tmp_path, request.param)


@pytest.fixture
def shared(stand_in: StandIn, tmp_path: Path) -> Book:
    return Book(stand_in, tmp_path, "link")


@pytest.fixture
def private(stand_in: StandIn, tmp_path: Path) -> Book:
    return Book(stand_in, tmp_path, "account")


# --- what lands ------------------------------------------------------------------------------------------


def test_rows_land_with_the_number_they_have_in_the_tab(book: Book) -> None:
    result = book.load()
    assert (result.status, result.problems) == ("ok", [])
    assert book.artists() == [
        (2, "1", "The “Example”, Ltd", "rock;pop", "DE", "2020-01-01"),
        (4, "2", "two\nlines", "", "", "3/1/2016"),
        (5, "3", "Zoë", "jazz", "", ""),
        (7, "3", "again", "jazz", "", "2020-01-02"),
    ]
    assert book.rows("select distinct _file from bronze_sheets.artists") == [("artists",)]
    assert book.rows("select _record from bronze_sheets.artists order by 1") == [(1,), (2,), (3,), (4,)]
    assert any("The streaming workbook is not in use" in note for note in result.notes)


def test_both_ways_and_csv_files_give_the_same_bronze(stand_in: StandIn, tmp_path: Path) -> None:
    held: dict[str, list[list[tuple]]] = {}
    folder = tmp_path / "csv"
    folder.mkdir()
    tabs: dict[str, list[list[str]]] = {}
    for sheet, header in sheets.HEADERS.items():
        with (Path("data/sample") / f"{sheet}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(islice(csv.reader(file), 400))
        # A row of a file can be ragged, one of a tab cannot.
        cells = tabs[sheet] = [(row + [""] * len(header))[: len(header)] for row in rows]
        with (folder / f"{sheet}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(cells)
    stand_in.call("POST", "/google/workbook", {"reset": True, "tabs": tabs})
    for way in ("csv", *WAYS):
        book = Book(stand_in, tmp_path, way)
        settings = book.settings()
        if way == "csv":
            settings = settings_module.load(
                {"DATABASE_URL": f"duckdb:///{tmp_path}/csv.duckdb", "SHEETS_DIR": str(folder)}
            )
        result = sheets.load(settings)
        assert (result.status, result.problems, result.notes) == ("ok", [], [])
        for sheet, header in sheets.HEADERS.items():
            listed = ", ".join(f'"{name}"' for name in header)
            held.setdefault(sheet, []).append(
                book.rows(f"select _record, {listed} from bronze_sheets.{sheet} order by 1")
            )
        # A line of a file is a row of the tab, but for the lines inside the cells above it.
        where = "select _record, _line, name from bronze_sheets.venues order by 1"
        breaks = 0
        for record, line, name in book.rows(where):
            assert line == record + 1 + (breaks if way == "csv" else 0)
            breaks += name.count("\n")
        assert breaks
    for sheet, (files, *others) in held.items():
        assert files
        assert others == [files, files], sheet
    assert ask(tmp_path / "link.duckdb", "select sheet, fingerprint from bronze_sheets.files order by 1") == (
        ask(tmp_path / "account.duckdb", "select sheet, fingerprint from bronze_sheets.files order by 1")
    )


def test_an_unchanged_workbook_is_read_once_and_not_landed_again(book: Book) -> None:
    book.load()
    book.requests()
    result = book.load()
    assert [table.landed for table in result.tables] == [0] * 8
    calls = book.requests()
    if book.way == "account":
        assert calls == ["token", google_key(book), "values:batchGet"]
    else:
        assert calls.count("export") == 8
    assert result.requests == len(calls)
    book.edit(cells={"artists!B2": "New"})
    landed = {table.table: table.landed for table in book.load().tables if table.landed}
    assert landed == {"artists": 4}
    assert book.artists()[0][2] == "New"


def google_key(book: Book) -> str:
    return str(book.about["sheets_url"]).split("/")[-2]


def test_one_way_and_the_other_take_turns_without_landing_again(shared: Book, private: Book) -> None:
    shared.load()
    (shared.root / "link.duckdb").rename(shared.root / "account.duckdb")
    assert [table.landed for table in private.load().tables] == [0] * 8


def test_duplicates_missing_columns_and_empty_tabs_are_as_in_files(book: Book) -> None:
    book.load()
    book.edit(
        tabs={
            "artists": [["artist_id", "name"], ["1", "a"]],
            "venues": [],
            "events": [[], rows_of("events")[0], ["e1"], ["e1"]],
            "customers": [[*sheets.HEADERS["customers"], "name"]],
            "refunds": [[*sheets.HEADERS["refunds"], "Fan club"], ["r", "", "", "", "", "", "yes", "over"]],
        }
    )
    result = book.load()
    said = " ".join(str(problem) for problem in result.problems)
    assert "The tab artists, row 1: the header lacks the columns genre, country, created_at" in said
    assert "The tab venues has no header line: it is empty" in said
    assert "The tab customers, row 1: the header has name twice" in said
    assert len(result.problems) == 3
    assert len(book.artists()) == 4, "the last good rows stay"
    assert book.rows("select _line, event_id from bronze_sheets.events order by 1") == [(3, "e1"), (4, "e1")]
    assert book.rows("select refund_id, fan_club, column_8 from bronze_sheets.refunds") == [
        ("r", "yes", "over")
    ]


def test_forgotten_people_do_not_land(book: Book, tmp_path: Path) -> None:
    with opened(tmp_path / "ops.sqlite") as ops:
        forgotten = forget(ops, "kim@example.org")
    person = ["c1", "Kim Example", "Kim@Example.org", "Berlin", "", "DE", "2020-01-01"]
    book.edit(tabs={"customers": rows_of("customers", person)})
    book.load(forgotten=forgotten)
    assert book.rows("select customer_id, name, email, city from bronze_sheets.customers") == [
        ("c1", "", "", "Berlin")
    ]
    assert not list((tmp_path / f"{book.way}.dlt").rglob("*.csv")), "nothing of what was read stays"


def forget(ops: Ops, email: str) -> Any:
    ops.forget([email])
    return ops.forgotten()


def test_what_a_person_sees_is_what_lands(book: Book) -> None:
    price = [{"shown": text, "value": 0.5} for text in ("$20.50", "1,200", "12%")]
    book.edit(tabs={"refunds": rows_of("refunds", *(["r", "", "", "", each, DATE] for each in price))})
    book.load()
    found = book.rows("select refund_amount, refunded_at from bronze_sheets.refunds order by _record")
    assert found == [("$20.50", "3/1/2016"), ("1,200", "3/1/2016"), ("12%", "3/1/2016")]


# --- which tabs ------------------------------------------------------------------------------------------


def test_titles_are_matched_whatever_their_case_and_spaces(private: Book) -> None:
    activity = rows_of("viewing_activity", ["a1"])
    private.edit(rename={"artists": " ARTISTS "}, tabs={"Viewing  Activity": activity, "Door list": [["x"]]})
    result = private.load()
    assert len(private.artists()) == 4
    assert private.rows("select activity_id, _line from bronze_sheets.viewing_activity") == [("a1", 2)]
    assert [note for note in result.notes if "Door" in note] == ["Not a sheet, so not read: Door list."]
    assert not any("Door" in each for call in private.stand_in.call("GET", "/google/requests")["requests"]
                   for each in call["ranges"])  # fmt: skip


def test_a_missing_tab_is_a_problem_and_its_rows_stay(private: Book) -> None:
    private.load()
    private.edit(delete=["artists"])
    result = private.load()
    assert result.status == "partial"
    assert [str(problem) for problem in result.problems] == [
        "The workbook has no tab artists; rows loaded earlier stay. Add it, or call it so. If you have none, "
        "the header will do: artist_id,name,genre,country,created_at"
    ]
    assert len(private.artists()) == 4


def test_two_tabs_of_one_sheet_are_refused(private: Book) -> None:
    private.edit(tabs={"Artists": rows_of("artists", ["9"])})
    problems = [str(problem) for problem in private.load().problems]
    assert problems == [
        "artists and Artists are both the sheet artists; neither was loaded. "
        "Keep one of them in the workbook."
    ]
    assert private.artists() == []


def test_a_workbook_without_a_sheet_is_a_failure(private: Book) -> None:
    private.edit(delete=list(TABS), tabs={"Sheet1": [["x"]]})
    result = private.load()
    assert result.status == "failed"
    assert "None of the tabs of the workbook is called like a sheet" in str(result.problems[0])


def test_a_sheet_without_a_gid_is_named_with_where_to_find_it(shared: Book) -> None:
    lines = [f"{tab['title']},{tab['gid']}" for tab in shared.about["tabs"] if tab["title"] != "venues"]
    shared.map(*lines, "Door list,7")
    result = shared.load()
    assert result.status == "partial"
    (problem,) = map(str, result.problems)
    assert "has no line for the sheet venues; rows loaded earlier stay" in problem
    assert "the number after gid= in the address bar" in problem
    assert "Not a sheet, so not read: Door list." in result.notes


def test_a_wrong_gid_is_named_and_the_other_tabs_land(shared: Book) -> None:
    lines = [
        f"{tab['title']},{999 if tab['title'] == 'venues' else tab['gid']}" for tab in shared.about["tabs"]
    ]
    shared.map(*lines)
    result = shared.load()
    assert result.status == "partial"
    (problem,) = map(str, result.problems)
    assert "no tab with the gid 999 for the sheet venues (400)" in problem
    assert len(result.failures) == 1
    assert len(shared.artists()) == 4


def test_a_404_for_one_tab_of_a_workbook_that_is_there_is_a_wrong_gid(shared: Book) -> None:
    shared.fault("answer", path="/export", after=1, status=404, body="<p>no</p>")
    book = shared.read()
    assert ["gid" in str(problem) for problem in book.problems] == [True]


def test_the_gid_of_another_tab_is_seen_by_its_header(shared: Book) -> None:
    gids = {tab["title"]: tab["gid"] for tab in shared.about["tabs"]}
    shared.map(*(f"{sheet},{gids['artists' if sheet == 'venues' else sheet]}" for sheet in EVENT_SHEETS))
    assert "The tab venues, row 1: the header lacks" in str(shared.load().problems[0])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "google_tabs.csv is missing"),
        ("sheet,gid\n", "names no tab of the workbook yet"),
        ("artists,0\n", "lacks the header sheet,gid"),
        ("sheet,gid\nartists,first\n", "line 2: artists has no number as its gid"),
        ("sheet,gid\n\nartists\n", "line 3: artists has no number as its gid"),
    ],
)
def test_a_mapping_of_tabs_that_cannot_be_used_is_named(shared: Book, text: str | None, says: str) -> None:
    path = shared.root / "mappings" / google.TABS
    path.unlink()
    if text is not None:
        path.write_text(text)
    said = shared.trouble()
    assert says in said
    assert "address bar" in said


def test_a_mapping_of_tabs_may_come_from_excel(shared: Book) -> None:
    path = shared.root / "mappings" / google.TABS
    gid = next(tab["gid"] for tab in shared.about["tabs"] if tab["title"] == "artists")
    path.write_text(f" Sheet ,GID,note\r\n Artists , {gid} ,x\r\n,,\r\n", encoding="utf-8-sig")
    assert shared.read().problems == []


# --- trouble ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 302])
def test_a_login_page_is_recognised(shared: Book, status: int) -> None:
    shared.edit(is_public=False)
    shared.stand_in.call("POST", "/google/settings", {"login_status": status})
    said = shared.trouble()
    assert said == (
        "Google asks for a login instead of showing the workbook of SHEETS_URL; rows loaded earlier stay. "
        "Share it by link, or set GOOGLE_APPLICATION_CREDENTIALS to the JSON key of a service account."
    )
    assert shared.waits == [], "waiting does not help"
    assert len(shared.tried.failures) == 1


def test_a_page_that_calls_itself_csv_is_none(shared: Book) -> None:
    shared.fault("answer", path="/content", status=200, body="\n<html>", headers={"content-type": "text/csv"})
    assert "asks for a login" in shared.trouble()


def test_something_else_than_csv_is_not_read(shared: Book) -> None:
    shared.fault("answer", path="/content", status=200, body={"a": 1})
    assert "gives no CSV" in shared.trouble()


def test_a_workbook_that_is_not_there_is_named(book: Book) -> None:
    book.edit(exists=False)
    assert "SHEETS_URL leads to no workbook (404): deleted, or mistyped" in book.trouble()


def test_a_workbook_that_is_not_shared_names_the_account(private: Book) -> None:
    private.edit(is_public=False, shared_with=[])
    assert private.trouble() == (
        "The workbook of SHEETS_URL is not shared with the service account (403 PERMISSION_DENIED); rows "
        "loaded earlier stay. Share it with reader@boxoffice-sandbox.iam.gserviceaccount.com as a viewer."
    )


@pytest.mark.parametrize(
    ("status", "constant", "message", "says"),
    [
        (403, "PERMISSION_DENIED", "Google Sheets API has not been used in project 1 before or it is"
         " disabled.", "is not enabled"),
        (400, "FAILED_PRECONDITION", "This operation is not supported for this document", "Save as Google"),
        (401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", "key (401 UNAUTH"),
        (418, "TEAPOT", "x", "does not accept the request (418 TEAPOT)"),
    ],
)  # fmt: skip
def test_other_refusals_say_what_to_do(
    private: Book, status: int, constant: str, message: str, says: str
) -> None:
    error = {"error": {"code": status, "message": message, "status": constant}}
    private.fault("answer", path="/v4", status=status, body=error)
    said = private.trouble()
    assert says in said
    assert message not in said


@pytest.mark.parametrize("trouble", ["quota", "unavailable", "drop", "cut"])
def test_trouble_that_passes_is_waited_for(book: Book, trouble: str) -> None:
    book.fault(
        trouble,
        path="batchGet|export" if trouble in ("quota", "unavailable") else "batchGet|content",
        times=3,
    )
    assert book.read().failures == []
    assert book.waits == [1, 2, 4]


@pytest.mark.parametrize("trouble", ["quota", "unavailable", "drop"])
def test_trouble_that_stays_is_named_after_more_than_a_minute(book: Book, trouble: str) -> None:
    book.fault(trouble, path="batchGet|export", times=100)
    said = book.trouble()
    assert "Google did not give the workbook in 7 attempts: " in said
    assert said.endswith("Run again later.")
    assert sum(book.waits) > 60
    assert max(book.waits) <= 60
    assert len(book.tried.failures) == 1


def test_an_answer_that_is_no_json_is_asked_for_again(private: Book) -> None:
    private.fault("answer", path="batchGet", status=200, body="<p>Welcome to the café</p>")
    assert private.read().failures == []


@pytest.mark.parametrize("path", ["/v4/spreadsheets/[^/]*$", "batchGet", "/token"])
@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"sheets": [1]},
        {"sheets": [{"properties": {}}]},
        {"valueRanges": []},
        {"valueRanges": [{"values": {"a": 1}}] * 8},
        {"valueRanges": [{"values": [1]}] * 8},
        {"valueRanges": [None] * 8},
        {"error": "no"},
    ],
)
def test_an_answer_of_another_shape_is_a_sentence(private: Book, path: str, body: Any) -> None:
    for status in (200, 400):
        private.fault("answer", path=path, times=7, status=status, body=body)
        assert "rows loaded earlier stay." in private.trouble()
        private.stand_in.call("DELETE", "/google/faults")


def test_a_tab_renamed_between_the_calls_is_found_under_its_new_name(private: Book) -> None:
    rename = {"rename": {"artists": "Artists"}}
    private.fault("edit", path="/v4/spreadsheets/[^/]*$", edit=rename)
    result = private.load()
    assert (result.status, len(private.artists())) == ("ok", 4)
    private.fault("answer", path="batchGet", times=2, status=400, body={
        "error": {"code": 400, "message": "Unable to parse range: 'x'", "status": "INVALID_ARGUMENT"}
    })  # fmt: skip
    assert "renamed while it was read" in private.trouble()


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        json.dumps({"type": "authorized_user", "client_id": "x", "refresh_token": "y"}),
        json.dumps({"type": "service_account", "client_email": "a@b"}),
        json.dumps(
            {"type": "service_account", "client_email": "a@b", "token_uri": "http://x", "private_key": "k"}
        ),
    ],
)
def test_a_file_that_is_no_key_is_named(private: Book, content: str) -> None:
    private.key.write_text(content)
    said = private.trouble()
    assert said.startswith(f"GOOGLE_APPLICATION_CREDENTIALS names {private.key}, which is no usable key")
    private.key.unlink()
    assert "cannot be read: No such file" in private.trouble()


def test_a_key_that_was_deleted_is_named(private: Book) -> None:
    held = json.loads(private.key.read_text())
    private.key.write_text(json.dumps({**held, "client_email": "gone@else.iam.gserviceaccount.com"}))
    said = private.trouble()
    assert said.startswith("Google does not take the service account's key (invalid_grant)")
    assert private.tried.failures[0].request == "POST /google/token"


def test_neither_key_nor_token_nor_address_is_told(book: Book, capfd: pytest.CaptureFixture[str]) -> None:
    book.fault("answer", path="batchGet|export", times=100, status=400, body="<p>no</p>")
    result = book.load()
    assert result.status == "failed"
    secrets = [google_key(book), "ya29.", json.loads(book.key.read_text())["private_key"][40:80]]
    told = [str(problem) for problem in result.problems] + result.notes + list(capfd.readouterr())
    told += [f"{call.request} {call.response} {call.stack}" for call in result.failures]
    assert result.failures
    assert not [secret for secret in secrets for text in told if secret in text]
    assert google_key(book) not in repr(book.settings())


# --- doctor and settings ---------------------------------------------------------------------------------


def test_doctor_looks_at_the_workbook(book: Book) -> None:
    book.edit(tabs={"artists": [["artist_id"]]})
    found = list(sheets.check(book.settings()))
    assert [finding.state for finding in found] == ["wrong", "ok", "off"]
    assert "The tab artists, row 1: the header lacks" in found[0].what
    assert found[1].what.startswith("The workbook holds venues, events")
    book.edit(exists=False)
    assert [finding.state for finding in sheets.check(book.settings())] == ["wrong"]


KEY = "1AbC-dEfGhIjKlMnOpQrStUvWxYz_0123456789abcde"


@pytest.mark.parametrize(
    "address",
    [
        f"https://docs.google.com/spreadsheets/d/{KEY}/edit?gid=7#gid=7",
        f"https://docs.google.com/spreadsheets/d/{KEY}/edit?usp=sharing",
        f"https://docs.google.com/spreadsheets/u/1/d/{KEY}/edit",
        f"https://docs.google.com/spreadsheets/d/{KEY}",
    ],
)
def test_the_address_is_taken_as_the_browser_shows_it(address: str) -> None:
    settings = settings_module.load({"SHEETS_URL": address})
    assert settings.sheets_url == f"https://docs.google.com/spreadsheets/d/{KEY}"
    assert not settings.is_sandbox


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"SHEETS_URL": f"https://docs.google.com/spreadsheets/d/e/2PACX-{KEY}/pubhtml"}, "published page"),
        ({"SHEETS_URL": f"https://docs.google.com/document/d/{KEY}/edit"}, "SHEETS_URL is not the address"),
        ({"SHEETS_URL": KEY}, "SHEETS_URL is not the address"),
        ({"SHEETS_URL": f"https://docs.google.com/spreadsheets/d/{KEY}", "SHEETS_DIR": "x"},
         "SHEETS_DIR and SHEETS_URL are both set"),
        ({"GOOGLE_API_URL": "sheets.googleapis.com"}, "GOOGLE_API_URL is not an http"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_named(values: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        settings_module.load(values)
    assert KEY not in str(caught.value)
