"""A small scripted Airtable for tests: real HTTP, records from dicts, trouble from a list of functions."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

TOKEN = "patSECRET.TOKEN42"
BASE = "appBase0000000001"
START = datetime(2027, 2, 1, 12, tzinfo=UTC)

Fault = Callable[[Request], Response | None]


def error(status: int, constant: str, **headers: str) -> Response:
    return JSONResponse({"error": {"type": constant, "message": f"{constant} for {TOKEN}"}}, status, headers)


def field(key: str, name: str, kind: str = "singleLineText", **options: Any) -> dict[str, Any]:
    found = {"id": key, "name": name, "type": kind}
    return {**found, "options": options} if options else found


class Airtable:
    """What the base holds.

    tables: in the shape of the metadata API. records: by table id, then record id. edited: when people last
    changed a record. now: the server's clock. faults: asked first, in turn; the first answer given is sent.
    """

    def __init__(self) -> None:
        self.tables: list[dict[str, Any]] = [
            {
                "id": "tblCampaigns00001",
                "name": "Campaigns",
                "fields": [
                    field("fldName", "Name"),
                    field("fldSpend", "Spent", "currency", precision=2),
                    field("fldEvent", "Event"),
                    field("fldDouble", "Twice", "formula", result={"type": "number"}),
                ],
            },
            {"id": "tblRooms000000001", "name": "Rooms", "fields": [field("fldRoom", "Room")]},
            {"id": "tblDiary000000001", "name": "Diary", "fields": [field("fldText", "Text")]},
        ]
        self.records: dict[str, dict[str, dict[str, Any]]] = {table["id"]: {} for table in self.tables}
        self.edited: dict[str, datetime] = {}
        self.now = START
        self.faults: list[Fault] = []
        self.afterwards: Callable[[], None] = lambda: None
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.arrivals: list[float] = []
        self.clock: Callable[[], float] = lambda: 0.0
        self.lock = threading.Lock()
        for number in range(1, 4):
            self.put(
                "tblCampaigns00001", f"rec{number}", fldName=f"Campaign {number}", fldSpend=number * 10.5
            )
        self.put("tblRooms000000001", "recRoom", fldRoom="Hall")
        self.put("tblDiary000000001", "recSecret", fldText="Nobody's business")

    def put(self, table: str, key: str, **cells: Any) -> None:
        """A record as people leave it."""
        self.records[table][key] = cells
        self.edited[key] = self.now

    def listings(self, table: str) -> list[dict[str, str]]:
        return [query for path, query in self.requests if path.endswith(table)]

    def answer(self, request: Request) -> Response:
        with self.lock:
            self.arrivals.append(self.clock())
            path, query = request.url.path, dict(request.query_params)
            self.requests.append((path, query))
            response = next((given for fault in self.faults if (given := fault(request)) is not None), None)
            if response is None:
                authorized = request.headers.get("authorization") == f"Bearer {TOKEN}"
                response = self._answer(path, query) if authorized else error(401, "UNAUTHORIZED")
            self.afterwards()
            response.headers["date"] = format_datetime(self.now, usegmt=True)
            return response

    def _answer(self, path: str, query: dict[str, str]) -> Response:
        if path == f"/v0/meta/bases/{BASE}/tables":
            return JSONResponse({"tables": self.tables})
        match = re.fullmatch(f"/v0/{BASE}/(tbl\\w+)", path)
        if match is None or match[1] not in self.records:
            return error(403, "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND")
        assert query["returnFieldsByFieldId"] == "true"
        rows = list(self.records[match[1]].items())
        if formula := query.get("filterByFormula"):
            since = re.fullmatch(r"IS_AFTER\(LAST_MODIFIED_TIME\(\),DATETIME_PARSE\('(.*)'\)\)", formula)
            assert since, formula
            rows = [row for row in rows if self.edited[row[0]] > datetime.fromisoformat(since[1])]
        start, size = int(query.get("offset", "itr/0").split("/")[1]), int(query["pageSize"])
        page = [
            {"id": key, "createdTime": "2027-01-01T08:00:00.000Z", "fields": cells}
            for key, cells in rows[start : start + size]
        ]
        more = {"offset": f"itr/{start + size}"} if start + size < len(rows) else {}
        return JSONResponse({"records": page, **more})


@contextmanager
def serving(airtable: Airtable) -> Iterator[str]:
    """The API's address while the server runs, in a thread, on a free port."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await airtable.answer(Request(scope, receive))(scope, receive, send)

    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", date_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def on(word: str, *answers: Response | None) -> Fault:
    """Answers the first calls to paths that end in `word` so; None: as if nothing were wrong."""
    waiting = list(answers)

    def fault(request: Request) -> Response | None:
        return waiting.pop(0) if waiting and request.url.path.endswith(word) else None

    return fault


def on_page(table: str, page: int, *answers: Response) -> Fault:
    """Answers the first calls for that page of a table so, counted from 1."""
    waiting = list(answers)

    def fault(request: Request) -> Response | None:
        number = int(request.query_params.get("offset", "itr/0").split("/")[1]) // 100 + 1
        return waiting.pop(0) if waiting and request.url.path.endswith(table) and number == page else None

    return fault


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


def days(number: float) -> timedelta:
    return timedelta(days=number)
