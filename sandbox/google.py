"""Google Sheets as readers meet it: the CSV export of a link-shared workbook, and the API v4.

There is one workbook, kept with the store: the sample sheets, until somebody edits it at /control/google.
A cell is the text a person sees. One of another type is {"shown": "$20.50", "value": 20.5}; of a date or
time `value` is the serial number and `is_date` true.
"""

import asyncio
import base64
import binascii
import csv
import io
import re
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.faults import Fault, Faults, dated, drop, guarded
from sandbox.store import Json, Store

SAMPLE = Path(__file__).resolve().parent.parent / "data" / "sample"
KEY = "sandbox-workbook_0123456789abcdefghijklmnop"
EMAIL = "reader@boxoffice-sandbox.iam.gserviceaccount.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_LIFE = 3599  # seconds
SCOPES = tuple(
    f"https://www.googleapis.com/auth/{name}"
    for name in ("spreadsheets.readonly", "spreadsheets", "drive.readonly", "drive")
)
LOG_LENGTH = 10_000
MINUTE = 60
# What each fault does, and how many calls it hits when `times` is not given.
FAULTS: dict[str, tuple[str, int | None]] = {
    "answer": ("status, body (HTML text or JSON) and headers of your choice", 1),
    "quota": ("429: RESOURCE_EXHAUSTED from the API, a page from the export", 1),
    "unavailable": ("503: UNAVAILABLE from the API, a page from the export", 1),
    "drop": ("close the connection, having done nothing", 1),
    "cut": ("send half of the answer, then close the connection", 1),
    "slow": ("wait `ms` milliseconds, then answer", 1),
    "edit": ("after the answer is made, make the `edit` of the workbook", 1),
}
LOGIN = "<!DOCTYPE html><html><head><title>Sign in - Accounts</title></head><body>Sign in</body></html>"
PAGES = {
    404: "Sorry, the file you have requested does not exist.",
    400: "Sorry, unable to open the file at this time.",
    429: "Too many requests: the file is being read by too many people.",
    503: "The server encountered an error. Try again later.",
}
SHORT_LIVED = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your "
    "iat and exp values in the JWT claim."
)
Tree = dict[str, Any]


class ApiError(Exception):
    """An answer of the API that is an error: HTTP status, its constant, its sentence."""

    def __init__(self, status: int, constant: str, message: str) -> None:
        super().__init__(message)
        self.status, self.constant, self.message = status, constant, message

    def answer(self) -> Response:
        body = {"error": {"code": self.status, "message": self.message, "status": self.constant}}
        return _json(body, self.status)


class GrantError(Exception):
    """A refusal of the token endpoint."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _page(status: int) -> Response:
    return HTMLResponse(f"<!DOCTYPE html><html><body><p>{PAGES[status]}</p></body></html>", status)


@cache
def _loaded(pem: str) -> rsa.RSAPrivateKey:
    # Its numbers are checked at every loading, which costs as much as the rest of many calls.
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def sample_tabs() -> list[Json]:
    """The sample sheets, in the order of their names."""
    tabs = []
    for place, path in enumerate(sorted(SAMPLE.glob("*.csv"))):
        with path.open(encoding="utf-8", newline="") as file:
            tabs.append({"gid": place * 1001, "title": path.stem, "cells": list(csv.reader(file))})
    return tabs


def _size(tab: Json) -> tuple[int, int]:
    """Rows and columns of a tab's grid: at least those that a new tab has."""
    rows = tab["cells"]
    return max(1000, len(rows)), max(26, max(map(len, rows), default=0))


class Workbook:
    """is_public: shared by link; shared_with: accounts; exists: False once deleted."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.state: Json = store.recall("google_workbook") or self.new()

    @staticmethod
    def new() -> Json:
        return {"exists": True, "is_public": True, "shared_with": [EMAIL], "tabs": sample_tabs()}

    @property
    def tabs(self) -> list[Json]:
        found: list[Json] = self.state["tabs"]
        return found

    def tab(self, title: str) -> Json:
        for tab in self.tabs:
            if tab["title"] == title:
                return tab
        raise LookupError(f"no such tab: {title}")

    def edit(self, wish: Json) -> None:
        """`reset`; then `tabs` (title to rows of cells), `cells` (`artists!B2` to cell), `rename` (old to new
        title), `delete` (titles), `is_public`, `shared_with`, `exists`."""
        known = ("reset", "tabs", "cells", "rename", "delete", "is_public", "shared_with", "exists")
        unknown = set(wish) - set(known)
        if unknown:
            raise ValueError(f"no such edit: {', '.join(sorted(unknown))}")
        if wish.get("reset"):
            self.state = self.new()
        for title, cells in wish.get("tabs", {}).items():
            try:
                self.tab(title)["cells"] = cells
            except LookupError:
                gid = max((tab["gid"] for tab in self.tabs), default=-1001) + 1001
                self.tabs.append({"gid": gid, "title": title, "cells": cells})
        for place, cell in wish.get("cells", {}).items():
            title, _, address = place.rpartition("!")
            try:
                _, top, left, _, _ = corners(self.tabs, f"{_quoted(title)}!{address}")
            except ApiError as error:
                raise ValueError(error.message) from None
            rows = self.tab(title)["cells"]
            rows.extend([] for _ in range(top + 1 - len(rows)))
            rows[top].extend("" for _ in range(left + 1 - len(rows[top])))
            rows[top][left] = cell
        for old, new in wish.get("rename", {}).items():
            self.tab(old)["title"] = new
        for title in wish.get("delete", []):
            self.tabs.remove(self.tab(title))
        for name in ("is_public", "shared_with", "exists"):
            if name in wish:
                self.state[name] = wish[name]
        self.store.remember("google_workbook", self.state)


# --- ranges and masks ----------------------------------------------------------------------------------


def _quoted(title: str) -> str:
    return title if re.fullmatch(r"[A-Za-z_]\w*", title) else "'" + title.replace("'", "''") + "'"


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def _letters(column: int) -> str:
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def corners(tabs: Sequence[Json], text: str) -> tuple[Json, int, int, int, int]:
    """The tab and the first row, first column, row after the last and column after the last of a range in
    A1 notation. Raises ApiError for what is none, or names no tab."""
    unparsed = ApiError(400, "INVALID_ARGUMENT", f"Unable to parse range: {text}")
    titles = {tab["title"]: tab for tab in tabs}
    is_quoted = re.fullmatch(r"'((?:[^']|'')*)'(?:!(.+))?", text)
    if is_quoted:
        title, cells = is_quoted[1].replace("''", "'"), is_quoted[2] or ""
    elif "!" in text:
        title, _, cells = text.partition("!")
    else:
        title, cells = (text, "") if text in titles else (tabs[0]["title"] if tabs else "", text)
    area = re.fullmatch(r"([A-Za-z]{0,3})(\d*)(:([A-Za-z]{0,3})(\d*))?", cells)
    if title not in titles or area is None or (not cells and text not in titles and not is_quoted):
        raise unparsed
    tab = titles[title]
    rows, columns = _size(tab)
    left, top, more, right, bottom = area.groups()
    if not more:
        right, bottom = left, bottom or top
    if (cells and not (left or top)) or (top == "0" or bottom == "0"):
        raise unparsed
    first_row, first_column = int(top or 1) - 1, _column(left) if left else 0
    after_row = int(bottom) if bottom else rows
    after_column = _column(right) + 1 if right else columns
    if first_row >= rows or first_column >= columns:
        raise ApiError(
            400,
            "INVALID_ARGUMENT",
            f"Range ({text}) exceeds grid limits. Max rows: {rows}, max columns: {columns}",
        )
    return tab, first_row, first_column, min(after_row, rows), min(after_column, columns)


def _mask(text: str) -> Tree:
    """`sheets.properties(sheetId,title)` as nested names. Raises ApiError for what is no field mask."""
    tokens = re.findall(r"\w+|[.,()]|\S", text)

    def fields() -> Tree:
        tree: Tree = {}
        while tokens:
            level = tree
            while True:
                name = tokens.pop(0) if tokens else ""
                if not name.isidentifier():
                    raise ApiError(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
                level = level.setdefault(name, {})
                if tokens[:1] != ["."]:
                    break
                tokens.pop(0)
            if tokens[:1] == ["("]:
                tokens.pop(0)
                level.update(fields())
                if tokens[:1] != [")"]:
                    raise ApiError(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
                tokens.pop(0)
            if tokens[:1] != [","]:
                break
            tokens.pop(0)
        return tree

    tree = fields()
    if tokens:
        raise ApiError(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
    return tree


def _masked(value: Any, tree: Tree) -> Any:
    if not tree:
        return value
    if isinstance(value, list):
        return [_masked(each, tree) for each in value]
    unknown = [name for name in tree if name not in value]
    if unknown:
        raise ApiError(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
    return {name: _masked(value[name], below) for name, below in tree.items()}


def _shown(cell: Any) -> str:
    return str(cell["shown"] if isinstance(cell, dict) else cell)


def _raw(cell: Any, dates: str) -> Any:
    if not isinstance(cell, dict) or (cell.get("is_date") and dates == "FORMATTED_STRING"):
        return _shown(cell)
    return cell["value"]


def _trimmed(cells: list[Any]) -> list[Any]:
    """Without the empty cells, or rows, at the end."""
    length = len(cells)
    while length and cells[length - 1] in ("", []):
        length -= 1
    return cells[:length]


# --- the rooms -----------------------------------------------------------------------------------------


class Google:
    """`app` serves export, API and tokens; `control` is what steers them. `clock`: seconds since 1970."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store, self.clock = store, clock
        self._book: tuple[tuple[int, int], Workbook] | None = None
        self.tokens: dict[str, tuple[str, float]] = {}  # token -> its scopes, when it ends
        self.quota = {"user": 60, "project": 300}  # reads a minute
        self.login_status = 200
        self._reads = (0, 0)  # the minute, and the reads in it
        routes = [
            Route("/spreadsheets/d/{key}/export", self.export),
            Route("/content/{key}/{gid:int}", self.content),
            Route("/signin", self.sign_in),
            Route("/token", self.token, methods=["POST"]),
            Route("/v4/spreadsheets/{key}/values:batchGet", self.batch_get),
            Route("/v4/spreadsheets/{key}/values/{range:path}", self.values),
            Route("/v4/spreadsheets/{key}", self.metadata),
        ]
        pages = Starlette(
            routes=[Mount("/google", routes=routes)],
            exception_handlers={ApiError: _refused, GrantError: _not_granted, HTTPException: _no_path},
        )
        self.gate = Gate(pages, self)
        self.app: ASGIApp = self.gate
        self.control = Starlette(
            routes=[
                Route("/", guarded(self.about)),
                Route("/credentials", guarded(self.credentials)),
                Route("/workbook", guarded(self.edit), methods=["POST"]),
                Route("/settings", guarded(self.settings), methods=["POST"]),
                Route("/faults", guarded(self.gate.faults.steer), methods=["GET", "POST", "DELETE"]),
                Route("/requests", guarded(self.requests), methods=["GET", "DELETE"]),
            ]
        )

    @property
    def book(self) -> Workbook:
        # Put back from a snapshot, or forgotten by another process: then it is read again.
        version = (self.store.restored, self.store.db.execute("pragma data_version").fetchone()[0])
        if self._book is None or self._book[0] != version:
            self._book = (version, Workbook(self.store))
        return self._book[1]

    # -- link-shared

    async def export(self, request: Request) -> Response:
        state = self.book.state
        if request.path_params["key"] != KEY or not state["exists"]:
            return _page(404)
        if not state["is_public"]:
            if self.login_status == 200:
                return HTMLResponse(LOGIN)
            return RedirectResponse(f"{_base(request)}/signin", self.login_status)
        query = request.query_params
        gid = query.get("gid", str(self.book.tabs[0]["gid"]))
        if query.get("format") != "csv" or gid not in {str(tab["gid"]) for tab in self.book.tabs}:
            return _page(400)
        return RedirectResponse(f"{_base(request)}/content/{KEY}/{gid}", 307)

    async def content(self, request: Request) -> Response:
        tab = next((tab for tab in self.book.tabs if tab["gid"] == request.path_params["gid"]), None)
        if tab is None:
            return _page(404)
        rows = _trimmed([_trimmed([_shown(cell) for cell in row]) for row in tab["cells"]])
        width = max(map(len, rows), default=0)
        file = io.StringIO()
        csv.writer(file, lineterminator="\r\n").writerows(row + [""] * (width - len(row)) for row in rows)
        return PlainTextResponse(file.getvalue().removesuffix("\r\n"), media_type="text/csv")

    async def sign_in(self, request: Request) -> Response:
        return HTMLResponse(LOGIN)

    # -- service account

    def _key(self) -> rsa.RSAPrivateKey:
        """Made once and kept, so that a credentials file outlives a restart."""
        pem = self.store.recall("google_key")
        if pem is None:
            fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            pem = fresh.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ).decode()
            self.store.remember("google_key", pem)
        return _loaded(pem)

    async def token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("latin-1")))
        if form.get("grant_type") != GRANT:
            raise GrantError("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
        scope = self._scope(form.get("assertion", ""))
        fresh = f"ya29.{secrets.token_urlsafe(32)}"
        self.tokens[fresh] = (scope, self.clock() + TOKEN_LIFE)
        return _json({"access_token": fresh, "expires_in": TOKEN_LIFE, "token_type": "Bearer"})

    def _scope(self, assertion: str) -> str:
        """What the signed assertion asks for. Raises GrantError unless all of it holds."""
        try:
            head, body, signature = assertion.split(".")
            header, claims = orjson.loads(_decoded(head)), orjson.loads(_decoded(body))
            if header["alg"] != "RS256":
                raise InvalidSignature
            self._key().public_key().verify(
                _decoded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            issuer, scope = str(claims["iss"]), str(claims.get("scope", ""))
            begins, ends = float(claims["iat"]), float(claims["exp"])
        except (ValueError, KeyError, TypeError, InvalidSignature):
            raise GrantError("invalid_grant", "Invalid JWT Signature.") from None
        if issuer != EMAIL:
            raise GrantError("invalid_grant", "Invalid grant: account not found")
        now = self.clock()
        if not begins - 300 <= now < ends or ends - begins > 3600:
            raise GrantError("invalid_grant", SHORT_LIVED)
        names = scope.split()
        if not names or not all(name.startswith("https://www.googleapis.com/auth/") for name in names):
            raise GrantError("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return scope

    def _may_read(self, request: Request) -> None:
        """Raises ApiError: who asks, whether they ask too often, whether the workbook is there and theirs."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not token:
            raise ApiError(
                403,
                "PERMISSION_DENIED",
                "Method doesn't allow unregistered callers (callers without established identity). Please "
                "use API Key or other form of API consumer identity to call this API.",
            )
        scope, ends = self.tokens.get(token, ("", 0.0))
        if self.clock() >= ends:
            raise ApiError(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie "
                "or other valid authentication credential.",
            )
        minute = int(self.clock() // MINUTE)
        reads = self._reads[1] + 1 if self._reads[0] == minute else 1
        self._reads = (minute, reads)
        # There is one account, in one project.
        for name, word in (("user", " per user"), ("project", "")):
            if reads > self.quota[name]:
                raise out_of_quota(word)
        if not set(scope.split()) & set(SCOPES):
            raise ApiError(403, "PERMISSION_DENIED", "Request had insufficient authentication scopes.")
        state = self.book.state
        if request.path_params["key"] != KEY or not state["exists"]:
            raise ApiError(404, "NOT_FOUND", "Requested entity was not found.")
        if not state["is_public"] and EMAIL not in state["shared_with"]:
            raise ApiError(403, "PERMISSION_DENIED", "The caller does not have permission")

    async def metadata(self, request: Request) -> Response:
        self._may_read(request)
        sheets = []
        for place, tab in enumerate(self.book.tabs):
            rows, columns = _size(tab)
            properties = {
                "sheetId": tab["gid"],
                "title": tab["title"],
                "index": place,
                "sheetType": "GRID",
                "gridProperties": {"rowCount": rows, "columnCount": columns},
            }
            sheets.append({"properties": properties})
        body = {
            "spreadsheetId": KEY,
            "properties": {"title": "Sandbox", "locale": "en_US", "timeZone": "America/New_York"},
            "sheets": sheets,
            "spreadsheetUrl": f"{_base(request)}/spreadsheets/d/{KEY}/edit",
        }
        return _json(_masked(body, _mask(request.query_params.get("fields", ""))))

    async def batch_get(self, request: Request) -> Response:
        self._may_read(request)
        found = [self._values(request, each) for each in request.query_params.getlist("ranges")]
        return _json({"spreadsheetId": KEY, "valueRanges": found})

    async def values(self, request: Request) -> Response:
        self._may_read(request)
        return _json(self._values(request, request.path_params["range"]))

    def _values(self, request: Request, wanted: str) -> Json:
        query = request.query_params
        render = query.get("valueRenderOption", "FORMATTED_VALUE")
        dates = query.get("dateTimeRenderOption", "SERIAL_NUMBER")
        is_known = render in ("FORMATTED_VALUE", "UNFORMATTED_VALUE")
        if not is_known or query.get("majorDimension", "ROWS") != "ROWS":
            raise ApiError(400, "INVALID_ARGUMENT", "The sandbox knows ROWS, and values formatted or not.")
        tab, top, left, bottom, right = corners(self.book.tabs, wanted)
        written: Callable[[Any], Any] = _shown if render == "FORMATTED_VALUE" else partial(_raw, dates=dates)
        rows = [_trimmed([written(cell) for cell in row[left:right]]) for row in tab["cells"][top:bottom]]
        name = f"{_quoted(tab['title'])}!{_letters(left)}{top + 1}:{_letters(right - 1)}{bottom}"
        values = _trimmed(rows)
        return {"range": name, "majorDimension": "ROWS", **({"values": values} if values else {})}

    # -- control

    def about(self, request: Request, wish: Json) -> Json:
        base, state = _base(request), self.book.state
        return {
            "sheets_url": f"{base}/spreadsheets/d/{KEY}/edit",
            "api_url": base,
            "service_account": EMAIL,
            **{name: state[name] for name in ("exists", "is_public", "shared_with")},
            "tabs": [
                {"title": tab["title"], "gid": tab["gid"], "rows": len(tab["cells"])}
                for tab in self.book.tabs
            ],
            "quota": self.quota,
            "faults": {name: text for name, (text, _) in FAULTS.items()},
        }

    def credentials(self, request: Request, wish: Json) -> Json:
        """The service account's JSON, as Google gives it out."""
        pem = self._key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": "boxoffice-sandbox",
            "private_key_id": "0" * 40,
            "private_key": pem.decode(),
            "client_email": EMAIL,
            "client_id": "100000000000000000000",
            "token_uri": f"{_base(request)}/token",
        }

    def edit(self, request: Request, wish: Json) -> Json:
        self.book.edit(wish)
        return self.about(request, wish)

    def settings(self, request: Request, wish: Json) -> Json:
        """`quota`: reads a minute, `user` and `project`; `login_status`: 200 for a page, 302 to one."""
        self.quota |= {name: int(wish["quota"][name]) for name in wish.get("quota", {}) if name in self.quota}
        self._reads = (0, 0)
        self.login_status = int(wish.get("login_status", self.login_status))
        return {"quota": self.quota, "login_status": self.login_status}

    def requests(self, request: Request, wish: Json) -> Json:
        found = list(self.gate.log)
        if request.method == "DELETE":
            self.gate.log.clear()
        return {"count": len(found), "requests": found}


class Gate:
    """Stands before it all: logs each call and works the faults. Paths are those after /google."""

    def __init__(self, app: ASGIApp, google: Google) -> None:
        self._app, self._google = app, google
        self.faults = Faults(FAULTS)
        self.log: deque[Json] = deque(maxlen=LOG_LENGTH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        path = scope["path"].removeprefix("/google")
        query = dict(request.query_params)
        entry: Json = {
            "at": self._google.clock(),
            "method": request.method,
            "path": path,
            "query": query,
            "ranges": request.query_params.getlist("ranges"),
            "status": None,
        }
        self.log.append(entry)
        struck = [fault for fault in self.faults if fault.strikes(request.method, path, query)]
        if any(fault.do == "drop" for fault in struck):
            await drop(send)
            return
        for fault in struck:
            if fault.do == "slow":
                await asyncio.sleep(fault.more.get("ms", 1000) / 1000)
        is_cut = any(fault.do == "cut" for fault in struck)

        async def respond(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), dated(self._google.clock())]
            if is_cut and message["type"] == "http.response.body":
                message = {**message, "body": message["body"][: len(message["body"]) // 2], "more_body": True}
            await send(message)

        planned = next(filter(None, (_planned(fault, path) for fault in struck)), None)
        await (planned or self._app)(scope, receive, respond)
        for fault in struck:
            if fault.do == "edit":
                self._google.book.edit(fault.more["edit"])
        if is_cut:
            entry["status"] = None
            await drop(send)


def _planned(fault: Fault, path: str) -> Response | None:
    """The answer a fault gives in place of the real one."""
    if fault.do == "answer":
        body, status = fault.more.get("body", ""), int(fault.more.get("status", 500))
        answer = HTMLResponse(body, status) if isinstance(body, str) else _json(body, status)
        answer.headers.update(fault.more.get("headers", {}))
        return answer
    is_api = path.startswith("/v4/")
    if fault.do == "quota":
        return out_of_quota(" per user").answer() if is_api else _page(429)
    if fault.do == "unavailable":
        error = ApiError(503, "UNAVAILABLE", "The service is currently unavailable.")
        return error.answer() if is_api else _page(503)
    return None


def out_of_quota(word: str) -> ApiError:
    return ApiError(
        429,
        "RESOURCE_EXHAUSTED",
        f"Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute{word}' of "
        "service 'sheets.googleapis.com' for consumer 'project_number:100000000000'.",
    )


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.answer()


async def _not_granted(request: Request, error: Exception) -> Response:
    assert isinstance(error, GrantError)
    return _json({"error": error.error, "error_description": error.description}, 400)


async def _no_path(request: Request, error: Exception) -> Response:
    return _page(404)


def _base(request: Request) -> str:
    """The stand-in's own address, as its clients reach it."""
    return f"{request.url.scheme}://{request.url.netloc}/google"


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
