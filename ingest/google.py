"""A Google workbook as CSV files, one per sheet, which ingest/sheets.py reads like any other.

Shared by link, each tab is exported by its gid; a private workbook is read by a service account, all tabs in
one call. Both show what a person sees, and both give the same bytes: a record per row of the tab, so that the
number of a record is the number of its row, and a cell for every column in use.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import gspread
import requests
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials
from gspread.exceptions import APIError
from gspread.urls import SPREADSHEETS_API_V4_BASE_URL
from gspread.utils import absolute_range_name
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from boxoffice.calls import Bearer, Call, failed, new_session
from boxoffice.errors import BoxofficeError, CallError, FailedCall
from boxoffice.settings import Settings
from ingest.landing import Progress

SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"
TABS = "google_tabs.csv"
# The quota is refilled each minute, and the waits between so many attempts add up to more than one.
ATTEMPTS = 7
LONGEST_WAIT = 60
TIMEOUT = (10, 120)  # seconds to connect, and without a byte
STAYS = "rows loaded earlier stay."
SHARE = "Share it by link, or set GOOGLE_APPLICATION_CREDENTIALS to the JSON key of a service account."

Answer = TypeVar("Answer")


class NotShared(CallError):
    """The workbook is there, and not for us."""


class NotFound(CallError):
    """There is no such workbook."""


class KeyRefused(CallError):
    """Google does not take the service account's key."""


class Unavailable(CallError):
    """Google did not give a usable answer, however often it was asked."""


class NotAccepted(CallError):
    """Google, or whoever answers in its place, does not take the request as it is."""


class _Again(Exception):
    """Trouble that may pass."""


class _Moved(Exception):
    """A tab that was listed is not there any more."""


def folded(title: str) -> str:
    """What a tab's title is compared by: `Viewing  Activity ` is `viewing_activity`."""
    return re.sub(r"[\s_]+", "_", title.strip().lower())


class Tab(NamedTuple):
    """A tab, or what google_tabs.csv calls it, and its rows as CSV."""

    title: str
    path: Path


class Workbook:
    """The workbook of SHEETS_URL, read once.

    Args:
        folder: where the CSV files go.
        sheets: the names of the sheets there are.
        sleep: waits that many seconds.

    Attributes:
        others: titles of the tabs that are no sheet.
        problems: of single tabs; their sheets have no file.
        requests, failures: the calls made, and those that failed for good.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        sheets: Collection[str],
        sleep: Callable[[float], None],
        progress: Progress,
    ) -> None:
        assert settings.sheets_url is not None
        self._settings, self._url = settings, settings.sheets_url
        self._key = self._url.rpartition("/")[2]
        self._folder, self._sheets, self._sleep, self._progress = folder, sheets, sleep, progress
        self._last = Call(self._url, {})
        self._token_url = self._granted = ""
        self._is_found = False  # a tab of it was read
        self.others: list[str] = []
        self.problems: list[BoxofficeError] = []
        self.requests = 0
        self.failures: list[FailedCall] = []

    @property
    def is_shared(self) -> bool:
        """It is read as anybody with the link may, not by a service account."""
        return self._settings.google_credentials is None

    def read(self) -> dict[str, list[Tab]]:
        """Sheet to the tabs that are called so: none of one that is among the problems.

        Raises:
            BoxofficeError: nothing can be read; the message says what to do.
        """
        try:
            return self._exported() if self.is_shared else self._asked()
        except CallError as error:
            self._keep(error)
            raise

    # -- shared by link

    def _exported(self) -> dict[str, list[Tab]]:
        gids = self._gids()
        files: dict[str, list[Tab]] = {}
        with new_session(self._url) as session:
            session.headers["Accept"] = "text/csv"
            for done, (sheet, gid) in enumerate(gids):
                self._progress("reading the workbook", done, len(gids))
                found = files.setdefault(sheet, [])
                try:
                    rows = self._retried(partial(self._export, session, sheet, gid))
                except NotAccepted as error:
                    self._keep(error)
                    self.problems.append(error)
                    continue
                found.append(Tab(sheet, self._written(sheet, len(found), rows)))
        return files

    def _gids(self) -> list[tuple[str, str]]:
        """Sheet and gid of the tabs that google_tabs.csv names."""
        path = self._settings.mappings_dir / TABS
        how = "Write a line `sheet,gid` for each tab; its gid is the number after gid= in the address bar."
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                lines = csv.DictReader(file)
                names = [name.strip().lower() for name in lines.fieldnames or []]
                rows = [
                    (lines.line_num, dict(zip(names, row.values(), strict=False)))
                    for row in lines
                    if any(row.values())
                ]
        except FileNotFoundError as error:
            raise BoxofficeError(
                f"{path} is missing: it says which tab of the shared workbook is which sheet.",
                f"Make it, with the header sheet,gid. {how}",
            ) from error
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise BoxofficeError(
                f"{path} cannot be read: {error}.", "Save it as a UTF-8 CSV file."
            ) from error
        if not {"sheet", "gid"} <= set(names):
            raise BoxofficeError(f"{path} lacks the header sheet,gid.", f"Let it be its first line. {how}")
        if not rows:
            raise BoxofficeError(f"{path} names no tab of the workbook yet.", how)
        gids = []
        for line, row in rows:
            name, gid = row.get("sheet") or "", (row.get("gid") or "").strip()
            if folded(name) not in self._sheets:
                self.others.append(name)
            elif not re.fullmatch(r"[0-9]+", gid):
                raise BoxofficeError(f"{path}, line {line}: {name} has no number as its gid.", how)
            else:
                gids.append((folded(name), gid))
        return gids

    def _export(self, session: requests.Session, sheet: str, gid: str) -> list[list[str]]:
        self._note(Call(f"{self._url}/export", {"format": "csv", "gid": gid}))
        with _connection_trouble():
            response = session.get(self._last.url, params=self._last.query, timeout=TIMEOUT)
        self._last.response = response
        self.requests += len(response.history)
        status, kind = response.status_code, response.headers.get("content-type", "").lower()
        if status == 429 or status >= 500:
            raise _Again(f"answer {status}")
        if status == 404 and not self._is_found:
            raise _not_found(status)
        is_page = "html" in kind or response.content.lstrip()[:1] == b"<"
        if status in (401, 403) or (status == 200 and is_page):
            raise NotShared(
                f"Google asks for a login instead of showing the workbook of SHEETS_URL; {STAYS}", SHARE
            )
        if status != 200:
            raise NotAccepted(
                f"The workbook has no tab with the gid {gid} for the sheet {sheet} ({status}); {STAYS}",
                f"Open the tab in a browser and copy the number after gid= in its address to {TABS}.",
            )
        if not kind.startswith("text/csv"):
            raise Unavailable("What answers for SHEETS_URL gives no CSV.", "Check SHEETS_URL.")
        self._is_found = True
        text = response.content.decode("utf-8-sig", "replace")
        try:
            return list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error:
            raise _Again("the CSV was cut off") from None

    # -- by a service account

    def _asked(self) -> dict[str, list[Tab]]:
        account = self._account()
        token = self._retried(lambda: self._token(account))
        self._granted = token
        with new_session(self._settings.google_api_url) as session:
            session.auth = Bearer(token)
            api = _Api(account, session, self._settings.google_api_url, self._note)
            api.set_timeout(TIMEOUT)
            for _ in range(2):
                try:
                    return self._tabs(api, account)
                except _Moved:
                    continue
        raise BoxofficeError(
            f"Tabs of the workbook were renamed while it was read; {STAYS}", "Run again when that is done."
        )

    def _tabs(self, api: "_Api", account: Credentials) -> dict[str, list[Tab]]:
        self._progress("reading the workbook", 0, None)
        fields: dict[str, Any] = {"fields": "sheets.properties(sheetId,title,gridProperties)"}
        listing = self._retried(
            lambda: self._answer(account, lambda: api.fetch_sheet_metadata(self._key, fields))
        )
        with _shape_trouble():
            found = [str(each["properties"]["title"]) for each in listing["sheets"]]
        # Half of a surrogate pair is JSON, and cannot be printed.
        titles = [title.encode("utf-8", "replace").decode() for title in found]
        wanted = [title for title in titles if folded(title) in self._sheets]
        self.others = [title for title in titles if title not in wanted]
        if not wanted:
            return {}
        ranges = [absolute_range_name(title) for title in wanted]
        shown = {"majorDimension": "ROWS", "valueRenderOption": "FORMATTED_VALUE"}
        answer = self._retried(
            lambda: self._answer(account, lambda: api.values_batch_get(self._key, ranges, dict(shown)))
        )
        files: dict[str, list[Tab]] = {}
        with _shape_trouble():
            for title, found in zip(wanted, answer["valueRanges"], strict=True):
                rows = found.get("values", [])
                if not (isinstance(rows, list) and all(isinstance(row, list) for row in rows)):
                    raise TypeError
                held = files.setdefault(folded(title), [])
                held.append(Tab(title, self._written(folded(title), len(held), rows)))
        return files

    def _account(self) -> Credentials:
        path = self._settings.google_credentials
        how = "Let it name the JSON key of a service account, as Google Cloud's page Keys gives it out."
        try:
            assert path is not None
            held = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(held, dict) or held.get("type") != "service_account":
                raise ValueError
            self._token_url = str(held["token_uri"])
            account: Credentials = Credentials.from_service_account_info(held, scopes=[SCOPE])
        except OSError as error:
            raise BoxofficeError(
                f"GOOGLE_APPLICATION_CREDENTIALS names {path}, which cannot be read: {error.strerror}.", how
            ) from error
        except (ValueError, KeyError, TypeError, GoogleAuthError) as error:
            # Its text could tell of the key.
            raise BoxofficeError(
                f"GOOGLE_APPLICATION_CREDENTIALS names {path}, which is no usable key of a service account.",
                how,
            ) from error
        return account

    def _token(self, account: Credentials) -> str:
        """An access token, good for an hour: longer than a workbook takes."""
        self._note(Call(self._token_url, {}))
        try:
            with new_session(self._token_url) as session:
                account.refresh(Request(session))
        except TransportError:
            raise _Again("no connection") from None
        except RefreshError as error:
            if error.retryable:
                raise _Again("no token") from None
            said = error.args[1] if len(error.args) > 1 else {}
            constant = str(said.get("error", "")) if isinstance(said, dict) else ""
            raise _refused(constant if re.fullmatch("[a-z_]+", constant) else "no token") from None
        except (TypeError, ValueError):
            raise _Again("the answer was no token") from None
        return str(account.token)

    def _answer(self, account: Credentials, work: Callable[[], Any]) -> dict[str, Any]:
        """What gspread brings; its errors as those that say what to do."""
        try:
            with _connection_trouble():
                found = work()
        except APIError as error:
            raise self._judged(account, error) from None
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
            # An error in a shape that gspread does not know, or JSON that Python does not read.
            raise _Again("the answer was none of Google's") from None
        if not isinstance(found, dict):
            raise _Again("the answer was no JSON object")
        return found

    def _judged(self, account: Credentials, error: APIError) -> Exception:
        status = error.response.status_code
        stated, words = (str(error.error.get(name, "")) for name in ("status", "message"))
        said = f"{status} {stated}".strip() if re.fullmatch("[A-Z_]+", stated) else str(status)
        if status == 429 or status >= 500:
            return _Again(f"answer {said}")
        if status == 400 and words.startswith("Unable to parse range"):
            return _Moved()
        if status == 404:
            return _not_found(status)
        if status == 403 and ("has not been used in project" in words or "is disabled" in words):
            return NotAccepted(
                f"The Google Sheets API is not enabled in the service account's project; {STAYS}",
                "Enable it in Google Cloud under APIs & Services, and run again some minutes later.",
            )
        if status == 401:
            return _refused(said)
        if status == 403:
            return NotShared(
                f"The workbook of SHEETS_URL is not shared with the service account ({said}); {STAYS}",
                f"Share it with {account.service_account_email} as a viewer.",
            )
        if status == 400 and stated == "FAILED_PRECONDITION":
            return NotAccepted(
                f"SHEETS_URL leads to a file that is no Google workbook ({said}); {STAYS}",
                "Open it and choose File > Save as Google Sheets, then take that one's address.",
            )
        return NotAccepted(
            f"Google does not accept the request ({said}); {STAYS}", "Check SHEETS_URL and GOOGLE_API_URL."
        )

    # -- both ways

    def _retried(self, work: Callable[[], Answer]) -> Answer:
        retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            retry=retry_if_exception_type(_Again),
            wait=wait_exponential(max=LONGEST_WAIT),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(work)
        except _Again as trouble:
            raise Unavailable(
                f"Google did not give the workbook in {ATTEMPTS} attempts: {trouble}; {STAYS}",
                "Run again later.",
            ) from None

    def _note(self, call: Call) -> None:
        self._last = call
        self.requests += 1

    def _keep(self, error: CallError) -> None:
        """The failed call, without the workbook's key: by link, who knows it may read."""
        call = failed(error, self._last, datetime.now(UTC), self._key, self._granted)
        if self._last.url == self._token_url:
            call = replace(call, request=f"POST {urlsplit(self._token_url).path}")
        error.call = call
        self.failures.append(call)

    def _written(self, sheet: str, number: int, rows: Sequence[Sequence[Any]]) -> Path:
        """The rows as CSV. Google leaves out what is empty at the end of a row; here all are as wide as the
        widest, and rows without anything at the end are none."""
        path = self._folder / f"{sheet}.{number}.csv"
        cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
        width = max((place for row in cells for place, cell in enumerate(row, 1) if cell), default=0)
        length = max((place for place, row in enumerate(cells, 1) if any(row)), default=0)
        with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
                [*row[:width], *[""] * (width - len(row))] for row in cells[:length]
            )
        return path


class _Api(gspread.HTTPClient):
    """gspread's client at the address that is set; `note` is told of each call."""

    def __init__(
        self, auth: Credentials, session: requests.Session, url: str, note: Callable[[Call], None]
    ) -> None:
        super().__init__(auth, session)
        self._base, self._note = f"{url}/v4/spreadsheets", note

    def request(self, *args: Any, **options: Any) -> requests.Response:
        method, endpoint = args
        call = Call(endpoint.replace(SPREADSHEETS_API_V4_BASE_URL, self._base, 1), options["params"])
        self._note(call)
        try:
            call.response = super().request(method, call.url, **options)
        except APIError as error:
            call.response = error.response
            raise
        return call.response


@contextmanager
def _connection_trouble() -> Iterator[None]:
    try:
        yield
    except requests.RequestException as trouble:
        # Its text can hold the address; its name is enough.
        raise _Again(f"no usable answer ({type(trouble).__name__})") from None


@contextmanager
def _shape_trouble() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise Unavailable(
            f"Google's answer does not hold the tabs that were asked for; {STAYS}", "Run again later."
        ) from None


def _refused(said: str) -> KeyRefused:
    return KeyRefused(
        f"Google does not take the service account's key ({said}); {STAYS}",
        "Check this machine's clock and that the key still exists; if it does not, make a new one and let "
        "GOOGLE_APPLICATION_CREDENTIALS name it.",
    )


def _not_found(status: int) -> NotFound:
    return NotFound(
        f"SHEETS_URL leads to no workbook ({status}): deleted, or mistyped; {STAYS}",
        "Copy the address from the browser's address bar while the workbook is open.",
    )
