"""A small scripted Eventbrite for tests: real HTTP, objects from a dict, trouble from a list of functions."""

import base64
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

TOKEN = "SECRETTOKEN42"
ORG = "700000000001"

Fault = Callable[[Request], Response | None]


class Drop(Response):
    """Ends the connection in the middle of the body."""

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"900")]})
        await send({"type": "http.response.body", "body": b'{"orders": [', "more_body": True})
        await send({"type": "http.disconnect"})


def error(status: int, constant: str, **headers: str) -> Response:
    body = {"status_code": status, "error": constant, "error_description": f"{constant} for {TOKEN}"}
    return JSONResponse(body, status, headers)


def moment(minute: int, day: int = 1) -> str:
    return f"2027-02-{day:02}T{minute // 60:02}:{minute % 60:02}:00Z"


def money(value: int) -> dict[str, Any]:
    return {"currency": "USD", "value": value, "major_value": f"{value / 100:.2f}", "display": "?"}


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(800000000000 + number),
        "resource_uri": f"https://www.eventbriteapi.com/v3/events/{number}/",
        "name": {"text": f"Event {number}", "html": f"Event {number}"},
        "start": {"timezone": "Etc/UTC", "local": "2027-05-01T19:00:00", "utc": "2027-05-01T19:00:00Z"},
        "end": {"timezone": "Etc/UTC", "local": "2027-05-01T22:00:00", "utc": "2027-05-01T22:00:00Z"},
        "changed": moment(0),
        "organization_id": ORG,
        "venue_id": "5000001",
        "status": "live",
        "currency": "USD",
        **fields,
    }


def ticket_class(number: int, event_number: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(300000000 + number),
        "event_id": str(800000000000 + event_number),
        "name": "General",
        "category": "admission",
        "cost": money(10000),
        **fields,
    }


def order(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(10000000000 + number),
        "resource_uri": f"https://www.eventbriteapi.com/v3/orders/{number}/",
        "changed": moment(number),
        "name": "Kim Buyer",
        "email": "kim@example.org",
        "status": "placed",
        "event_id": "800000000001",
        "costs": {"gross": money(10772)},
        "refund_requests": [],
        **fields,
    }


def attendee(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(20000000000 + number),
        "resource_uri": f"https://www.eventbriteapi.com/v3/events/800000000001/attendees/{number}/",
        "changed": moment(number),
        "event_id": "800000000001",
        "order_id": str(10000000000 + number),
        "ticket_class_id": "300000001",
        "status": "Attending",
        "cancelled": False,
        "refunded": False,
        "profile": {"name": "Kim Buyer", "email": "kim@example.org"},
        "costs": {"gross": money(10772)},
        **fields,
    }


def changed(each: dict[str, Any], minute: int, **fields: Any) -> dict[str, Any]:
    """The object as it is after an edit at that minute."""
    return {**each, "changed": moment(minute), **fields}


class Eventbrite:
    """What the server holds. Objects by organization and kind; `by_event` by (kind, event id).

    faults: asked first, in turn; the first answer given is sent.
    used, limit, reset_seconds: what `x-rate-limit` says; every call adds one to `used`.
    now: the server's clock, which answers tell if `is_dated`.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.organizations: list[dict[str, Any]] = [
            {"id": ORG, "name": "Example Hall", "created": "2020-01-05T10:00:00"}
        ]
        self.objects: dict[str, dict[str, list[Any]]] = {ORG: small_world()}
        self.by_event: dict[tuple[str, str], list[Any]] = {}
        self.faults: list[Fault] = []
        self.afterwards: Callable[[str], None] = lambda path: None
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.authorizations: set[str] = set()
        self.page_size = 50
        self.last_page_continuation: Any = ...
        self.expands = True
        self.used, self.limit, self.reset_seconds = 0, 2000, 3575
        self.now, self.is_dated = datetime(2027, 3, 1, 6, tzinfo=UTC), True
        self.lock = threading.Lock()

    def listed(self, kind: str) -> list[dict[str, str]]:
        """The queries of requests for listings or objects whose path ends in that word."""
        return [query for path, query in self.requests if path.rstrip("/").endswith(kind)]

    def answer(self, request: Request) -> Response:
        with self.lock:
            path = request.url.path.removeprefix("/v3")
            query = dict(request.query_params)
            self.requests.append((path, query))
            self.authorizations.add(request.headers.get("authorization", ""))
            self.used += 1
            response = next((given for fault in self.faults if (given := fault(request)) is not None), None)
            response = response or self._answer(path, query)
            self.afterwards(path)
            if self.is_dated:
                response.headers["date"] = format_datetime(self.now, usegmt=True)
            response.headers.setdefault(
                "x-rate-limit", f"token:{TOKEN} {self.used}/{self.limit} reset={self.reset_seconds}s"
            )
            return response

    def _answer(self, path: str, query: dict[str, str]) -> Response:
        match path.strip("/").split("/"):
            case ["users", "me", "organizations"]:
                return self.page("organizations", self.organizations, query)
            case ["organizations", organization, "discounts"] if organization in self.objects:
                if "scope" not in query:
                    return error(400, "ARGUMENTS_ERROR")
                return self.page("discounts", self.by_event.get(("discounts", query["event_id"]), []), query)
            case ["organizations", organization, kind] if organization in self.objects:
                return self.page(kind, self.objects[organization].get(kind, []), query)
            case ["events", event_id, ("questions" | "ticket_classes") as kind]:
                return self.page(kind, self.by_event.get((kind, event_id), []), query)
        return error(404, "NOT_FOUND")

    def page(self, kind: str, objects: list[Any], query: dict[str, str]) -> Response:
        since = query.get("changed_since", "")
        rows = [each for each in objects if not since or each.get("changed", "") >= since]
        number = 1
        if "continuation" in query:
            number = json.loads(base64.urlsafe_b64decode(query["continuation"] + "=="))["page"]
        size = self.page_size
        part = rows[(number - 1) * size : number * size]
        expansions = {"events": "ticket_classes", "orders": "refund_requests"}
        if (name := expansions.get(kind)) and (query.get("expand") != name or not self.expands):
            part = [{key: value for key, value in each.items() if key != name} for each in part]
        has_more = number * size < len(rows)
        pagination = {
            "object_count": len(rows),
            "page_number": number,
            "page_size": size,
            "page_count": -(-len(rows) // size),
            "has_more_items": has_more,
        }
        if has_more:
            pagination["continuation"] = continuation(number + 1)
        elif self.last_page_continuation is not ...:
            pagination["continuation"] = self.last_page_continuation
        return JSONResponse({"pagination": pagination, kind: part})


def continuation(page: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"page": page}).encode()).decode().rstrip("=")


def small_world() -> dict[str, list[Any]]:
    """An organization with two events, a venue and three orders of one ticket."""
    return {
        "events": [
            event(1, ticket_classes=[ticket_class(1)]),
            event(2, ticket_classes=[ticket_class(2, 2)]),
        ],
        "venues": [{"id": "5000001", "name": "Example Hall", "address": None}],
        "orders": [order(number) for number in (1, 2, 3)],
        "attendees": [attendee(number) for number in (1, 2, 3)],
    }


@contextmanager
def serving(eventbrite: Eventbrite) -> Iterator[str]:
    """The API's base address while the server runs, in a thread, on a free port."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await eventbrite.answer(Request(scope, receive))(scope, receive, send)

    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="critical", lifespan="off", date_header=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/v3"
    finally:
        server.should_exit = True
        thread.join()


def on(word: str, *answers: Response | None) -> Fault:
    """Answers the first calls to paths that end in `word` so; None: as if nothing were wrong."""
    waiting = list(answers)

    def fault(request: Request) -> Response | None:
        if waiting and request.url.path.rstrip("/").endswith(word):
            return waiting.pop(0)
        return None

    return fault


def always(word: str, answer: Response) -> Fault:
    """Answers every call to paths that end in `word` so."""
    return lambda request: answer if request.url.path.rstrip("/").endswith(word) else None


class Time:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
