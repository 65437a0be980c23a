"""The stand-in behaves as the reference page says Google does; gspread, unchanged, reads it like Google."""

import csv
import functools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gspread
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials
from gspread.exceptions import APIError, WorksheetNotFound

from sandbox.server import StandIn, running

SAMPLE = Path(__file__).resolve().parents[3] / "data" / "sample"
READ_ONLY = "https://www.googleapis.com/auth/spreadsheets.readonly"
TABS = {
    "artists": [
        ["artist_id", "name", "", "fee"],
        ["1", "The Example", "", {"shown": "$20.50", "value": 20.5}],
        [],
        ["2", "", "", {"shown": "3/1/2016", "value": 42430, "is_date": True}],
        ["", ""],
    ],
    "Door list": [["gate"]],
    "It's": [["x"]],
    "empty": [],
}


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with running() as stand_in:
        yield stand_in


@pytest.fixture
def google(server: StandIn) -> StandIn:
    """The stand-in with a small workbook, shared by link and with the account."""
    server.set_clock(None)
    server.call("DELETE", "/google/faults")
    server.call("DELETE", "/google/requests")
    server.call("POST", "/google/settings", {"quota": {"user": 60, "project": 300}, "login_status": 200})
    strangers = [path.stem for path in SAMPLE.glob("*.csv") if path.stem not in TABS]
    server.call("POST", "/google/workbook", {"reset": True, "tabs": TABS, "delete": strangers})
    return server


def about(google: StandIn) -> dict[str, Any]:
    found: dict[str, Any] = google.call("GET", "/google/")
    return found


def key_of(google: StandIn) -> str:
    return str(about(google)["sheets_url"]).split("/")[-2]


@functools.cache
def account_of(held: str) -> Credentials:
    """Reading a private key checks its numbers, which costs more than a call."""
    return Credentials.from_service_account_info(json.loads(held))


def credentials_of(google: StandIn, *scopes: str, **other: Any) -> Credentials:
    held = {**google.call("GET", "/google/credentials"), **other}
    return account_of(json.dumps(held)).with_scopes(scopes or [READ_ONLY])


def ask(google: StandIn, path: str, token: str | None = None, **query: Any) -> requests.Response:
    if token is None:
        account = credentials_of(google)
        account.refresh(Request())
        token = str(account.token)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{google.google}/v4/spreadsheets/{path or key_of(google)}"
    return requests.get(url, params=query, headers=headers, timeout=10)


def values(google: StandIn, *ranges: str, **query: Any) -> requests.Response:
    return ask(google, f"{key_of(google)}/values:batchGet", ranges=ranges, **query)


class Detour(requests.adapters.HTTPAdapter):
    """Google's host is the stand-in's; all else of the client is as it comes."""

    def __init__(self, google: StandIn) -> None:
        super().__init__()
        self._google = google

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        assert request.url is not None
        request.url = request.url.replace("https://sheets.googleapis.com", self._google.google)
        return super().send(request, *args, **options)


@pytest.fixture
def client(google: StandIn) -> gspread.Client:
    session = requests.Session()
    session.mount("https://sheets.googleapis.com", Detour(google))
    account = credentials_of(google)
    account.refresh(Request())
    session.headers["Authorization"] = f"Bearer {account.token}"
    return gspread.Client(account, session)


# --- gspread ---------------------------------------------------------------------------------------------


def test_gspread_lists_tabs_and_reads_them(client: gspread.Client, google: StandIn) -> None:
    book = client.open_by_key(key_of(google))
    assert [tab.title for tab in book.worksheets()] == list(TABS)
    artists = book.worksheet("artists")
    assert (artists.id, artists.row_count, artists.col_count) == (0, 1000, 26)
    assert artists.get_all_values() == [
        ["artist_id", "name", "", "fee"],
        ["1", "The Example", "", "$20.50"],
        ["", "", "", ""],
        ["2", "", "", "3/1/2016"],
    ]
    assert artists.acell("B2").value == "The Example"
    assert book.worksheet("It's").get("A1:A9") == [["x"]]
    with pytest.raises(WorksheetNotFound):
        book.worksheet("nobody")


def test_gspread_reads_values_as_they_are_kept(client: gspread.Client, google: StandIn) -> None:
    artists = client.open_by_key(key_of(google)).worksheet("artists")
    raw = artists.get("D2:D4", value_render_option="UNFORMATTED_VALUE")
    assert raw == [[20.5], [], [42430]]
    dates = {"value_render_option": "UNFORMATTED_VALUE", "date_time_render_option": "FORMATTED_STRING"}
    assert artists.get("D2:D4", **dates) == [[20.5], [], ["3/1/2016"]]


def test_gspread_meets_the_errors(client: gspread.Client, google: StandIn) -> None:
    book = client.open_by_key(key_of(google))
    with pytest.raises(APIError, match="Unable to parse range: 'gone'") as caught:
        book.values_batch_get(["'artists'", "'gone'"])
    assert caught.value.response.json()["error"]["status"] == "INVALID_ARGUMENT"
    google.call("POST", "/google/workbook", {"is_public": False, "shared_with": []})
    with pytest.raises(PermissionError):
        client.open_by_key(key_of(google))
    with pytest.raises(gspread.SpreadsheetNotFound):
        client.open_by_key("nothing-here")


# --- API -------------------------------------------------------------------------------------------------


def test_a_listing_holds_the_fields_that_are_asked_for(google: StandIn) -> None:
    found = ask(google, "", fields="sheets.properties(sheetId,title,gridProperties)").json()
    grid = {"rowCount": 1000, "columnCount": 26}
    assert found["sheets"][0] == {"properties": {"sheetId": 0, "title": "artists", "gridProperties": grid}}
    assert list(found) == ["sheets"]
    assert ask(google, "", fields="sheets.nothing").status_code == 400


def test_values_come_without_what_is_empty_at_the_end(google: StandIn) -> None:
    found = values(google, "artists", "'Door list'!A:Z", "empty", "'It''s'", "artists!B2:B").json()
    assert found["spreadsheetId"] == key_of(google)
    ranges = found["valueRanges"]
    assert ranges[0] == {
        "range": "artists!A1:Z1000",
        "majorDimension": "ROWS",
        "values": [
            ["artist_id", "name", "", "fee"],
            ["1", "The Example", "", "$20.50"],
            [],
            ["2", "", "", "3/1/2016"],
        ],
    }
    assert ranges[1]["range"] == "'Door list'!A1:Z1000"
    assert ranges[2] == {"range": "empty!A1:Z1000", "majorDimension": "ROWS"}
    assert ranges[3]["values"] == [["x"]]
    assert (ranges[4]["range"], ranges[4]["values"]) == ("artists!B2:B1000", [["The Example"]])


@pytest.mark.parametrize(
    "wanted", ["gone", "'gone'!A1", "artists!", "artists!1A", "artists!A0", "artists!AB1"]
)
def test_a_range_that_is_none_is_refused(google: StandIn, wanted: str) -> None:
    answer = values(google, "artists", wanted)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_the_quota_is_refilled_each_minute(google: StandIn) -> None:
    google.set_clock(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:00}")
    google.call("POST", "/google/settings", {"quota": {"user": 2}})
    assert [values(google, "artists").status_code for _ in range(3)] == [200, 200, 429]
    error = values(google, "artists").json()["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert "Read requests per minute per user" in error["message"]
    google.advance(60)
    assert values(google, "artists").status_code == 200
    google.call("POST", "/google/settings", {"quota": {"user": 60, "project": 1}})
    assert values(google, "artists").status_code == 200
    assert "'Read requests per minute'" in values(google, "artists").json()["error"]["message"]


def test_who_may_read_is_checked(google: StandIn) -> None:
    def error(answer: requests.Response) -> tuple[int, str]:
        return answer.status_code, answer.json()["error"]["status"]

    assert error(ask(google, "", token="")) == (403, "PERMISSION_DENIED")
    assert error(ask(google, "", token="made-up")) == (401, "UNAUTHENTICATED")
    assert error(ask(google, "another-key")) == (404, "NOT_FOUND")
    other = credentials_of(google, "https://www.googleapis.com/auth/calendar")
    other.refresh(Request())
    assert error(ask(google, "", token=str(other.token))) == (403, "PERMISSION_DENIED")
    google.call("POST", "/google/workbook", {"is_public": False})
    assert ask(google, "").status_code == 200, "it is shared with the account"
    google.call("POST", "/google/workbook", {"shared_with": []})
    assert ask(google, "").json()["error"]["message"] == "The caller does not have permission"
    google.call("POST", "/google/workbook", {"exists": False})
    assert error(ask(google, "")) == (404, "NOT_FOUND")


def test_a_token_ends(google: StandIn) -> None:
    account = credentials_of(google)
    account.refresh(Request())
    assert ask(google, "", token=str(account.token)).status_code == 200
    google.set_clock((datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert ask(google, "", token=str(account.token)).status_code == 401


# --- tokens ----------------------------------------------------------------------------------------------


def test_a_token_is_given_for_what_the_account_signed(google: StandIn) -> None:
    account = credentials_of(google)
    account.refresh(Request())
    assert account.expiry is not None
    left = (account.expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()
    assert 3500 < left <= 3599


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("signature", "invalid_grant: Invalid JWT Signature"),
        ("issuer", "invalid_grant: Invalid grant: account not found"),
        ("scope", "invalid_scope"),
        ("expiry", "invalid_grant: Invalid JWT: Token must be a short-lived token"),
    ],
)
def test_a_token_is_refused(google: StandIn, wrong: str, error: str) -> None:
    held: dict[str, Any] = {}
    if wrong == "signature":
        fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        held["private_key"] = fresh.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
    if wrong == "issuer":
        held["client_email"] = "somebody@else.iam.gserviceaccount.com"
    if wrong == "expiry":
        google.set_clock((datetime.now(UTC) + timedelta(hours=2)).isoformat())
    account = credentials_of(google, "everything" if wrong == "scope" else READ_ONLY, **held)
    with pytest.raises(RefreshError, match=error):
        account.refresh(Request())


def test_an_assertion_is_read_whole(google: StandIn) -> None:
    held = google.call("GET", "/google/credentials")
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": held["client_email"], "scope": READ_ONLY, "iat": now, "exp": now + 3600}
    signed = jwt.encode(crypt.RSASigner.from_service_account_info(held), claims).decode()

    def granted(assertion: str, kind: str = "urn:ietf:params:oauth:grant-type:jwt-bearer") -> int:
        form = {"grant_type": kind, "assertion": assertion}
        return requests.post(held["token_uri"], data=form, timeout=10).status_code

    head, body, signature = signed.split(".")
    assert granted(signed) == 200
    assert granted(signed, "password") == 400
    for broken in ("", "a.b", f"{head}.{body}.", f"{body}.{head}.{signature}", f"{signed[:-4]}AAAA"):
        assert granted(broken) == 400
    longer = jwt.encode(crypt.RSASigner.from_service_account_info(held), {**claims, "exp": now + 7200})
    assert granted(longer.decode()) == 400


# --- export ----------------------------------------------------------------------------------------------


def export(google: StandIn, gid: Any = 0, key: str | None = None, **options: Any) -> requests.Response:
    url = f"{google.google}/spreadsheets/d/{key or key_of(google)}/export"
    return requests.get(url, params={"format": "csv", "gid": gid}, timeout=10, **options)


def test_a_tab_is_exported_by_its_gid_through_a_redirect(google: StandIn) -> None:
    assert export(google, allow_redirects=False).status_code == 307
    answer = export(google)
    assert answer.headers["content-type"].startswith("text/csv")
    assert list(csv.reader(answer.text.splitlines())) == [
        ["artist_id", "name", "", "fee"],
        ["1", "The Example", "", "$20.50"],
        ["", "", "", ""],
        ["2", "", "", "3/1/2016"],
    ]
    gids = {tab["title"]: tab["gid"] for tab in about(google)["tabs"]}
    assert export(google, gids["Door list"]).text == "gate"
    assert export(google, gids["empty"]).text == ""
    assert export(google, 999).status_code == 400


@pytest.mark.parametrize("status", [200, 302])
def test_a_workbook_that_is_not_shared_answers_with_a_login_page(google: StandIn, status: int) -> None:
    google.call("POST", "/google/settings", {"login_status": status})
    google.call("POST", "/google/workbook", {"is_public": False})
    assert export(google, allow_redirects=False).status_code == status
    answer = export(google)
    assert (answer.status_code, answer.text[:9]) == (200, "<!DOCTYPE")


def test_a_deleted_workbook_is_a_page_that_says_so(google: StandIn) -> None:
    assert export(google, key="nothing-here").status_code == 404
    google.call("POST", "/google/workbook", {"exists": False})
    answer = export(google)
    assert (answer.status_code, answer.headers["content-type"][:9]) == (404, "text/html")


# --- steering --------------------------------------------------------------------------------------------


def test_faults_hit_the_calls_they_are_meant_for(google: StandIn) -> None:
    def fault(do: str, **more: Any) -> None:
        google.call("POST", "/google/faults", {"do": do, **more})

    fault("quota", path="/export")
    assert (export(google).status_code, export(google).status_code) == (429, 200)
    fault("unavailable", path="batchGet", after=1)
    assert [values(google, "artists").status_code for _ in range(3)] == [200, 503, 200]
    fault("answer", path="/export", status=418, body="<p>tea</p>", headers={"x-pot": "short"})
    assert (export(google).status_code, export(google).headers.get("x-pot")) == (418, None)
    fault("drop", path="/content")
    with pytest.raises(requests.ConnectionError):
        export(google)
    fault("cut", path="/content")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        export(google)
    with pytest.raises(ValueError, match="must be one of"):
        fault("nonsense")


def test_the_workbook_can_change_between_two_reads(google: StandIn) -> None:
    google.call("POST", "/google/workbook", {"cells": {"artists!B4": "New", "It's!C2": "far"}})
    assert values(google, "artists!B4", "'It''s'").json()["valueRanges"][1]["values"] == [
        ["x"],
        ["", "", "far"],
    ]
    google.call("POST", "/google/faults", {"do": "edit", "path": "/v4", "edit": {"rename": {"artists": "A"}}})
    assert values(google, "artists!B4").json()["valueRanges"][0]["values"] == [["New"]]
    assert values(google, "artists!B4").status_code == 400
    for nonsense in ({"nothing": 1}, {"cells": {"A!": 1}}, {"delete": ["gone"]}):
        with pytest.raises(ValueError, match=r"no such|parse"):
            google.call("POST", "/google/workbook", nonsense)


def test_calls_are_on_record(google: StandIn) -> None:
    values(google, "artists", "empty")
    calls = google.call("GET", "/google/requests")["requests"]
    assert [(call["method"], call["status"]) for call in calls] == [("POST", 200), ("GET", 200)]
    assert calls[-1]["ranges"] == ["artists", "empty"]
    assert "assertion" not in json.dumps(calls)


def test_it_begins_with_the_sample_sheets_and_keeps_edits_and_key(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        assert [tab["title"] for tab in about(first)["tabs"]] == sorted(
            path.stem for path in SAMPLE.glob("*.csv")
        )
        held = first.call("GET", "/google/credentials")
        first.call("POST", "/google/workbook", {"delete": ["venues"]})
    with running(tmp_path) as second:
        assert "venues" not in [tab["title"] for tab in about(second)["tabs"]]
        assert second.call("GET", "/google/credentials")["private_key"] == held["private_key"]


def test_a_snapshot_holds_the_workbook(google: StandIn) -> None:
    google.call("PUT", "/snapshots/before")
    google.call("POST", "/google/workbook", {"cells": {"artists!B2": "Changed"}})
    google.call("POST", "/snapshots/before")
    assert values(google, "artists!B2").json()["valueRanges"][0]["values"] == [["The Example"]]
