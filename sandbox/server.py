"""The stand-in's server: the API under /v3 and, beside it, /control to steer, disturb and question it."""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.airtable import Airtable
from sandbox.bases import Base, Bases
from sandbox.civicrm.app import CiviCRM
from sandbox.deliveries import Deliveries
from sandbox.eventbrite import SWITCHES, ApiError, Eventbrite, is_true
from sandbox.faults import Fault, Faults, dated, drop, guarded
from sandbox.google import Google
from sandbox.store import KINDS, VERSION, Json, Store, split_questions

if TYPE_CHECKING:
    from sandbox.generator import World
    from sandbox.staff_base import StaffBase

TOKEN = "sandbox"  # noqa: S105
TOKENS = {TOKEN: "private", "sandbox-public": "public"}
RATE_LIMIT = 2000  # calls an hour
WINDOW = 3600  # seconds
LOG_LENGTH = 100_000
BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
# What each fault does, and how many calls it hits when `times` is not given (None: every one).
FAULTS: dict[str, tuple[str, int | None]] = {
    "answer": ("status, error, description, body (text or JSON) and headers of your choice", 1),
    "internal_error": ("500 INTERNAL_ERROR", 1),
    "expansion_failed": ("500 EXPANSION_FAILED on calls with expand", 1),
    "bad_gateway": ("502 with an HTML page", 1),
    "rate_limit": ("429 HIT_RATE_LIMIT; `reset` seconds in x-rate-limit (3575)", 1),
    "drop": ("close the connection, having done nothing", 1),
    "apply_then_drop": ("do as asked, then close the connection without an answer", 1),
    "cut": ("send half of the answer, then close the connection", 1),
    "slow": ("wait `ms` milliseconds, then answer", 1),
    "expired_cursor": ("400 BAD_CONTINUATION_TOKEN on calls with continuation", 1),
    "forbid": ("403 NOT_AUTHORIZED", None),
    "revoke": ("401 INVALID_AUTH: the token is revoked; `after` says when", None),
    "last_continuation": ("`value` present, absent or null: continuation on the last page", None),
    "omit": ("`keys` of the pagination that stay away", None),
    "page_rows": ("`rows`: lengths of the pages, in turn; nothing is lost", None),
    "shift": ("`rows` by which pages after the first have moved: 1 skips one, -1 repeats one", None),
    "apply": ("after the answer is made, `put` and `delete` objects: rows move between pages", 1),
}
TWISTS = ("last_continuation", "omit", "page_rows", "shift")


class Clock:
    """Seconds since 1970: the real ones, or those of a hand-set clock that stands still."""

    def __init__(self) -> None:
        self.fixed: float | None = None

    def __call__(self) -> float:
        return time.time() if self.fixed is None else self.fixed

    def now(self) -> datetime:
        return datetime.fromtimestamp(self(), UTC)


class Gate:
    """Stands before the API: logs each call, works the faults, checks token and rate."""

    def __init__(self, app: ASGIApp, store: Store, clock: Clock) -> None:
        self.app, self.store, self.clock = app, store, clock
        self.faults = Faults(FAULTS)
        self.log: deque[Json] = deque(maxlen=LOG_LENGTH)
        self.tokens = dict(TOKENS)
        self.limit = RATE_LIMIT
        self.used: dict[str, tuple[float, int]] = {}  # token -> start of its window, calls in it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"].removeprefix("/v3")
        method: str = scope["method"]
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        url_token = query.pop("token", None)
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        entry: Json = {
            "at": self.clock(),
            "method": method,
            "path": path,
            "query": query,
            "status": None,
        }
        self.log.append(entry)
        struck = [fault for fault in self.faults if fault.strikes(method, path, query)]
        if struck:
            entry["faults"] = [fault.do for fault in struck]
        for fault in struck:
            if fault.do == "slow":
                await asyncio.sleep(fault.more.get("ms", 1000) / 1000)
        if any(fault.do == "drop" for fault in struck):
            await drop(send)
            return
        self.store.refresh()
        scope["sandbox.twist"] = {
            fault.do: fault.more.get(
                {"last_continuation": "value", "omit": "keys"}.get(fault.do, "rows"), "present"
            )
            for fault in struck
            if fault.do in TWISTS
        }
        scope["sandbox.twist"]["omit"] = scope["sandbox.twist"].get("omit", ())
        rate: list[tuple[bytes, bytes]] = []
        answer: ASGIApp = self.app
        try:
            if not path.endswith("/"):
                moved = ApiError(301, "PERMANENTLY_MOVED", "The path you requested has moved.").answer()
                tail = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
                moved.headers["location"] = f"{scope['path']}/{tail}"
                answer = moved
            else:
                planned = next(filter(None, map(self.planned, struck)), None)
                token = self.token(headers, url_token, struck)
                rate.append((b"x-rate-limit", self.count(token).encode()))
                answer = planned or self.app
                scope["sandbox.token"] = self.tokens[token]
                scope["sandbox.switches"] = self.switches(headers)
        except ApiError as error:
            answer = error.answer()
        long_reset = next((fault for fault in struck if fault.do == "rate_limit"), None)
        if long_reset is not None:
            reset = int(long_reset.more.get("reset", 3575))
            text = f"token:{self.spoken(headers, url_token)} {self.limit}/{self.limit} reset={reset}s"
            rate = [(b"x-rate-limit", text.encode())]
        ending = next((fault.do for fault in struck if fault.do in ("apply_then_drop", "cut")), None)

        async def respond(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), *rate, dated(self.clock())]
            if ending == "apply_then_drop":
                return
            if ending == "cut" and message["type"] == "http.response.body":
                message = {**message, "body": message["body"][: len(message["body"]) // 2], "more_body": True}
            await send(message)

        await answer(scope, receive, respond)
        for fault in struck:
            if fault.do == "apply":
                self.store.put(sorted_out(fault.more.get("put", {})))
                self.store.delete(fault.more.get("delete", {}))
        if ending is not None:
            entry["status"] = None
            await drop(send)

    def planned(self, fault: Fault) -> Response | None:
        """The answer a fault gives in place of the API."""
        more = fault.more
        if fault.do == "answer":
            status = int(more.get("status", 500))
            body = more.get("body")
            if body is None:
                error = ApiError(
                    status, more.get("error", "INTERNAL_ERROR"), more.get("description", "Told to fail.")
                )
                answer = error.answer()
            elif isinstance(body, str):
                answer = Response(body, status, media_type="text/html")
            else:
                answer = Response(orjson.dumps(body), status, media_type="application/json")
            answer.headers.update(more.get("headers", {}))
            return answer
        if fault.do == "bad_gateway":
            return Response(BAD_GATEWAY, 502, media_type="text/html")
        errors = {
            "internal_error": (500, "INTERNAL_ERROR", "Unhandled error in server"),
            "expansion_failed": (500, "EXPANSION_FAILED", "An error occurred while processing expansions."),
            "rate_limit": (429, "HIT_RATE_LIMIT", "Your token has reached its hourly rate limit."),
            "expired_cursor": (
                400,
                "BAD_CONTINUATION_TOKEN",
                "The continuation token you supplied has expired.",
            ),
            "forbid": (403, "NOT_AUTHORIZED", "You do not have access to the resource you requested."),
        }
        return ApiError(*errors[fault.do]).answer() if fault.do in errors else None

    @staticmethod
    def spoken(headers: dict[str, str], url_token: str | None) -> str:
        return headers.get("authorization", "").partition(" ")[2].strip() or url_token or ""

    def token(self, headers: dict[str, str], url_token: str | None, struck: list[Fault]) -> str:
        """The caller's token. Raises ApiError for a missing, malformed, unknown or revoked one."""
        header = headers.get("authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise ApiError(400, "INVALID_AUTH_HEADER", "The Authorization header is malformed.")
        elif not url_token:
            raise ApiError(401, "NO_AUTH", "An OAuth token is required for all requests.")
        token = self.spoken(headers, url_token)
        if token not in self.tokens or any(fault.do == "revoke" for fault in struck):
            raise ApiError(401, "INVALID_AUTH", "The OAuth token you provided was invalid.")
        return token

    def count(self, token: str) -> str:
        """One more call of this token; the text of x-rate-limit. Raises ApiError above the limit."""
        now = self.clock()
        start, used = self.used.get(token, (now, 0))
        if now >= start + WINDOW:
            start, used = now, 0
        used += 1
        self.used[token] = (start, min(used, self.limit))
        text = f"token:{token} {min(used, self.limit)}/{self.limit} reset={int(start + WINDOW - now)}s"
        if used > self.limit:
            raise LimitReached(text)
        return text

    @staticmethod
    def switches(headers: dict[str, str]) -> tuple[str, ...]:
        on, off = (
            tuple(filter(None, map(str.strip, headers.get(f"eb-api-switches-{word}", "").split(","))))
            for word in ("enabled", "disabled")
        )
        if not {*on, *off} <= set(SWITCHES):
            raise ApiError(400, "BAD_REQUEST", "An API switch you named does not exist.")
        if {*on} & {*off}:
            raise ApiError(409, "REQUEST_CONFLICT", "An API switch is both enabled and disabled.")
        return on


class LimitReached(ApiError):
    def __init__(self, text: str) -> None:
        super().__init__(429, "HIT_RATE_LIMIT", "Your token has reached its hourly rate limit.")
        self.text = text

    def answer(self) -> Response:
        response = super().answer()
        response.headers["x-rate-limit"] = self.text
        return response


def sorted_out(objects: dict[str, list[Json]]) -> dict[str, list[Json]]:
    """Questions by a word are kept apart from those by a number."""
    if "questions" not in objects:
        return objects
    rest = {kind: items for kind, items in objects.items() if kind != "questions"}
    split = split_questions(objects["questions"])
    split["canned_questions"] = [*split["canned_questions"], *rest.pop("canned_questions", [])]
    return rest | split


def as_wire(objects: dict[str, list[Json]], owners: dict[str, dict[str, str]]) -> dict[str, list[Json]]:
    """A generated world's objects, each with the organization its own shape does not tell."""
    owned = {
        kind: [
            {**item, "organization_id": owners.get(kind, {}).get(item["id"])}
            if kind in owners and "organization_id" not in item
            else item
            for item in items
        ]
        for kind, items in objects.items()
    }
    return sorted_out(owned)


def fill(store: Store, *, seed: int, attendees: int) -> None:
    """Begin anew with a generated account."""
    from sandbox.civicrm.begin import fill_site
    from sandbox.generator import generate

    world = generate(seed, attendees=attendees)
    store.clear()
    store.put(as_wire(world.objects, world.owners))
    store.remember("version", VERSION)
    store.remember("attendees", attendees)
    store.remember("days", [])
    fill_bases(store, seed=seed, attendees=attendees)
    fill_site(store, world)
    store.remember("seed", seed)  # last: without it the next start fills again


def staff_of(*, seed: int, attendees: int) -> "StaffBase":
    """The Airtable base that stands beside a generated account, as it was when both began."""
    from sandbox.generator import generate
    from sandbox.staff_base import make

    return make(generate(seed, attendees=attendees))


def fill_bases(store: Store, *, seed: int, attendees: int) -> None:
    Bases(store).fill([staff_of(seed=seed, attendees=attendees).base])
    store.remember("airtable_era", int(store.clock()))


def fill_missing_site(store: Store) -> None:
    """A CiviCRM for a memory that began without one."""
    from sandbox.civicrm.begin import fill_site
    from sandbox.civicrm.rows import Rows
    from sandbox.civicrm.switches import Settings
    from sandbox.generator import generate

    if not Rows(store, Settings(), store.clock).has_begun:
        fill_site(store, generate(store.recall("seed"), attendees=store.recall("attendees")))


def world_of(store: Store) -> "World":
    """The generated account with every day that has passed in it since."""
    from sandbox.generator import evolve, generate

    world = generate(store.recall("seed"), attendees=store.recall("attendees"))
    for day in store.recall("days", []):
        evolve(world, day["seed"], days=day["days"])
    return world


def truth_of(
    world: "World", as_of: datetime, *, has_sheets: bool = False, staff: "StaffBase | None" = None
) -> Json:
    """What the marts must show at a moment: of the account, and with it of the sample sheets and of a base.

    `airtable` tells of the base's venues what each says and which of Eventbrite's are the same.
    """
    from sandbox.sheets import make
    from sandbox.truth import merged

    tallies = [world.tally]
    if has_sheets:
        tallies.append(make().tally)
    if staff is None:
        return merged(tallies).truth(as_of)
    return {**merged([*tallies, staff.tally]).truth(as_of), "airtable": staff.truth}


def evolve_store(
    store: Store,
    *,
    days: int = 1,
    seed: int | None = None,
    put: Callable[[dict[str, list[Json]]], None] | None = None,
) -> Json:
    """Let days pass in the account. Returns how many objects of each kind changed and vanished.

    `put` in place of the store's own.
    """
    from sandbox.generator import evolve

    world = world_of(store)
    passed = store.recall("days", [])
    seed = seed if seed is not None else store.recall("seed") + len(passed) + 1
    changes = evolve(world, seed, days=days)
    (put or store.put)(as_wire(changes.changed, world.owners))
    store.delete(changes.vanished)
    store.remember("days", [*passed, {"seed": seed, "days": days}])
    return {
        "as_of": changes.as_of.isoformat(),
        "changed": {kind: len(items) for kind, items in changes.changed.items() if items},
        "vanished": {kind: len(items) for kind, items in changes.vanished.items() if items},
    }


class Control:
    """What tests and people steer the stand-in with: JSON in, JSON out, no token."""

    def __init__(self, store: Store, clock: Clock, api: Eventbrite, gate: Gate) -> None:
        self.store, self.clock, self.api, self.gate = store, clock, api, gate
        self.deliveries = Deliveries(store, clock)
        self.app = Starlette(
            routes=[
                Route("/", guarded(self.about)),
                Route("/requests", guarded(self.requests), methods=["GET", "DELETE"]),
                Route("/faults", guarded(self.gate.faults.steer), methods=["GET", "POST", "DELETE"]),
                Route("/clock", guarded(self.set_clock), methods=["GET", "POST"]),
                Route("/settings", guarded(self.settings), methods=["GET", "POST"]),
                Route("/objects", guarded(self.objects), methods=["POST", "DELETE"]),
                Route("/objects/{kind}/{id:path}", guarded(self.object), methods=["GET", "POST"]),
                Route("/deliveries", guarded(self.told), methods=["GET", "POST", "DELETE"]),
                Route("/deliveries/test", guarded(self.test_hooks), methods=["POST"]),
                Route("/evolve", guarded(self.evolve), methods=["POST"]),
                Route("/snapshots/{name}", guarded(self.snapshot), methods=["PUT", "POST"]),
                Route("/truth", guarded(self.truth)),
            ]
        )

    def about(self, request: Request, wish: Json) -> Json:
        return {
            "now": self.clock.now().isoformat(),
            "seed": self.store.recall("seed"),
            "days": len(self.store.recall("days", [])),
            "objects": self.store.counts(),
            "faults": {name: text for name, (text, _) in FAULTS.items()},
        }

    def requests(self, request: Request, wish: Json) -> Json:
        found = list(self.gate.log)
        if request.method == "DELETE":
            self.gate.log.clear()
        return {"count": len(found), "requests": found}

    def set_clock(self, request: Request, wish: Json) -> Json:
        """`now` an ISO moment, or null for the real time; `advance` seconds."""
        if "now" in wish:
            text = wish["now"]
            moment = None if text is None else datetime.fromisoformat(text)
            if moment is not None and moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            self.clock.fixed = None if moment is None else moment.timestamp()
        if "advance" in wish:
            self.clock.fixed = self.clock() + float(wish["advance"])
        return {"now": self.clock.now().isoformat(), "is_fixed": self.clock.fixed is not None}

    def settings(self, request: Request, wish: Json) -> Json:
        unknown = set(wish) - {"page_size", "rate_limit", "tokens"}
        if unknown:
            raise ValueError(f"no such setting: {', '.join(sorted(unknown))}")
        if "page_size" in wish:
            self.api.page_size = int(wish["page_size"])
        if "rate_limit" in wish:
            self.gate.limit = int(wish["rate_limit"])
            self.gate.used.clear()
        if "tokens" in wish:
            if not set(wish["tokens"].values()) <= {"private", "public"}:
                raise ValueError("a token is private or public")
            self.gate.tokens = dict(wish["tokens"])
        return {
            "page_size": self.api.page_size,
            "rate_limit": self.gate.limit,
            "tokens": len(self.gate.tokens),
        }

    def objects(self, request: Request, wish: Json) -> Json:
        if request.method == "DELETE":
            told = self.deliveries.of_delete(wish)
            deleted = self.store.delete(wish)
            self.deliveries.send(api_address(request), told)
            return {"deleted": deleted}
        delay = float(wish.pop("delay", 0))
        objects = sorted_out(wish)
        self.put(request, objects, delay=delay)
        return {"put": sum(len(items) for items in objects.values())}

    def object(self, request: Request, wish: Json) -> Json:
        """Read one object whole; or set some of its keys, which moves `changed` to the clock's time."""
        kind, identity = request.path_params["kind"], request.path_params["id"]
        if kind not in KINDS:
            raise KeyError(f"no such kind: {kind}")
        found = self.store.whole(kind, identity)
        if found is None:
            raise LookupError(f"no such object: {kind} {identity}")
        if request.method == "POST":
            delay = float(wish.pop("delay", 0))
            if "changed" in found:
                wish.setdefault("changed", self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
            found |= wish
            self.put(request, {kind: [found]}, delay=delay)
        return found

    def put(self, request: Request, objects: dict[str, list[Json]], *, delay: float = 0) -> None:
        """Put objects, and tell the hooks at once: with `delay` they read what was before, or nothing."""
        told = self.deliveries.of_put(objects)
        self.store.put(objects, delay=delay)
        self.deliveries.send(api_address(request), told)

    def told(self, request: Request, wish: Json) -> Json:
        """The deliveries so far; POST sets switches."""
        found = self.deliveries.about()
        if request.method == "POST":
            self.deliveries.set(wish)
            return self.deliveries.about()
        if request.method == "DELETE":
            self.deliveries.log.clear()
        return found

    def test_hooks(self, request: Request, wish: Json) -> Json:
        self.deliveries.test(api_address(request))
        return {"hooks": len(self.deliveries.hooks())}

    def evolve(self, request: Request, wish: Json) -> Json:
        return evolve_store(
            self.store,
            days=int(wish.get("days", 1)),
            seed=wish.get("seed"),
            put=lambda objects: self.put(request, objects),
        )

    def snapshot(self, request: Request, wish: Json) -> Json:
        """PUT keeps everything as it is now under a name, POST puts it back."""
        name = request.path_params["name"]
        if request.method == "PUT":
            self.store.snapshot(name)
        else:
            self.store.restore(name)
        return {"snapshot": name}

    def truth(self, request: Request, wish: Json) -> Json:
        text = request.query_params.get("as_of")
        as_of = datetime.fromisoformat(text) if text else self.clock.now()
        as_of = as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC)
        has_sheets, has_airtable = (
            is_true(request.query_params.get(name)) for name in ("sheets", "airtable")
        )
        seed, attendees = self.store.recall("seed"), self.store.recall("attendees")
        staff = staff_of(seed=seed, attendees=attendees) if has_airtable else None
        return truth_of(world_of(self.store), as_of, has_sheets=has_sheets, staff=staff)


def api_address(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers['host']}/v3"


def application(store: Store, clock: Clock) -> tuple[ASGIApp, Gate, Airtable]:
    api = Eventbrite(store, clock.now)
    gate = Gate(api.app, store, clock)
    airtable = Airtable(store, clock)
    civicrm = CiviCRM(store, clock)
    google = Google(store, clock)
    control = Starlette(
        routes=[
            Mount("/control/airtable", airtable.control),
            Mount("/control/civicrm", civicrm.control),
            Mount("/control/google", google.control),
            Mount("/control", Control(store, clock, api, gate).app),
        ]
    )
    # Nothing stands between the server and a gate: faults need the server's own `send`.
    rooms: dict[str, ASGIApp] = {
        "/control": control,
        "/airtable": airtable,
        "/civicrm": civicrm,
        "/google": google.app,
        "": gate,
    }

    async def by_room(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        room = next(room for prefix, room in rooms.items() if path.startswith(prefix))
        await room(scope, receive, send)

    return by_room, gate, airtable


class Server(uvicorn.Server):
    """Uvicorn on a socket of ours; `ready` is called once it answers."""

    def __init__(self, store: Store, clock: Clock, ready: Callable[[], None] = lambda: None) -> None:
        self.gate: Gate
        self.airtable: Airtable
        app, self.gate, self.airtable = application(store, clock)
        logging.getLogger("uvicorn.error").disabled = True  # dropped connections are made on purpose
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
                date_header=False,
            )
        )
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()


def listening_on(port: int) -> socket.socket:
    """A socket on loopback; port 0 takes a free one. Raises OSError when the port is taken."""
    # Named as TCP, or asyncio leaves Nagle's algorithm on and every kept-alive answer is 40 ms late.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def addresses(port: int) -> dict[str, str]:
    base = f"http://127.0.0.1:{port}"
    return {
        "eventbrite": f"{base}/v3",
        "airtable": f"{base}/airtable",
        "civicrm": f"{base}/civicrm",
        "google": f"{base}/google",
        "control": f"{base}/control",
    }


class StandIn:
    """A running stand-in and short ways to its control endpoint. All over HTTP, like any other client."""

    def __init__(self, port: int) -> None:
        import requests

        found = addresses(port)
        self.eventbrite, self.airtable = found["eventbrite"], found["airtable"]
        self.civicrm, self.google, self.control = found["civicrm"], found["google"], found["control"]
        self.token = TOKEN
        self._session = requests.Session()

    def call(self, method: str, path: str, wish: Any = None) -> Any:
        """Raises ValueError with the server's sentence when it refuses."""
        body = None if wish is None else orjson.dumps(wish)
        answer = self._session.request(method, f"{self.control}{path}", data=body, timeout=60)
        found = orjson.loads(answer.content)
        if answer.status_code >= 400:
            raise ValueError(found.get("problem") or found)
        return found

    def put(self, *, delay: float = 0, **objects: list[Json]) -> None:
        """`put(attendees=[…])` adds or replaces; with `delay` reads stay stale for that many seconds."""
        self.call("POST", "/objects", {**objects, "delay": delay})

    def change(self, kind: str, identity: str, **values: Any) -> Json:
        """Set keys of one object; `changed` moves to the stand-in's time unless given."""
        found: Json = self.call("POST", f"/objects/{kind}/{identity}", values)
        return found

    def delete(self, kind: str, *ids: str) -> None:
        self.call("DELETE", "/objects", {kind: list(ids)})

    def fault(self, do: str, **details: Any) -> None:
        """See FAULTS; `path` is a regular expression, `after` calls pass first, `times` are hit."""
        self.call("POST", "/faults", {"do": do, **details})

    def clear_faults(self) -> None:
        self.call("DELETE", "/faults")

    def set_clock(self, now: str | None) -> None:
        self.call("POST", "/clock", {"now": now})

    def advance(self, seconds: float) -> None:
        self.call("POST", "/clock", {"advance": seconds})

    def settings(self, **settings: Any) -> None:
        self.call("POST", "/settings", settings)

    def deliveries(self, **switches: Any) -> Json:
        """Webhook deliveries so far, and those still `open`; `deliveries(drop=1)` sets switches."""
        method, wish = ("POST", switches) if switches else ("GET", None)
        found: Json = self.call(method, "/deliveries", wish)
        return found

    def requests(self) -> list[Json]:
        found: list[Json] = self.call("GET", "/requests")["requests"]
        return found

    def forget_requests(self) -> None:
        self.call("DELETE", "/requests")

    def close(self) -> None:
        self._session.close()


@contextlib.contextmanager
def running(
    state: Path | None = None,
    objects: dict[str, list[Json]] | None = None,
    *,
    owners: dict[str, dict[str, str]] | None = None,
    bases: Iterable[Base] | None = None,
    port: int = 0,
) -> Iterator[StandIn]:
    """A stand-in inside this process, on a thread of its own, for the length of a `with`.

    `objects` by kind and Airtable `bases` are put into it first; `state` None keeps them in memory only.
    """
    clock = Clock()
    store = Store(state, clock)
    if objects is not None:
        store.put(as_wire(objects, owners or {}))
    if bases is not None:
        Bases(store).fill(bases)
    listener = listening_on(port)
    is_ready = threading.Event()
    server = Server(store, clock, is_ready.set)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    stand_in = None
    try:
        if not is_ready.wait(10):
            raise RuntimeError("The stand-in did not start.")
        stand_in = StandIn(listener.getsockname()[1])
        yield stand_in
    finally:
        if stand_in is not None:
            stand_in.close()
        server.should_exit = True
        thread.join(10)
        listener.close()
        store.close()
