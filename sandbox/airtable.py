"""Airtable's Web API as its clients meet it: paths, paging, formulas, limits and the bodies of its errors.

What Airtable does not say is a setting (`Settings`), so that a client can be tried against either answer.
"""

import asyncio
import re
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from sandbox.bases import NUMBERS, Base, Bases, Record, Table, identity, iso, text, value
from sandbox.cells import RECORD_ID, USERS
from sandbox.faults import Fault, Faults, dated, drop, guarded
from sandbox.formula import BadFormula, BadValue, Formula, compiled
from sandbox.refusals import (
    Refusal,
    bad_formula,
    lost_iterator,
    no_permission,
    no_record,
    no_route,
    not_yours,
    unknown_field,
    wrong_parameter,
)
from sandbox.schemas import Schemas
from sandbox.store import Json, Store
from sandbox.switches import Settings
from sandbox.writes import Writes, Written

PREFIX = "/airtable"
TOKEN = "sandbox"  # noqa: S105
SCOPES = (
    "data.records:read",
    "data.records:write",
    "schema.bases:read",
    "schema.bases:write",
    "user.email:read",
)
LEVELS = ("none", "read", "comment", "edit", "create")  # what a token's owner may do in a base
BASE_ID = re.compile(r"app[0-9A-Za-z]{14}")
OFFSET = re.compile(r"(itr[0-9A-Za-z]{14})/(rec[0-9A-Za-z]{14})")
PARAMETER = re.compile(r"(\w+)(?:\[(\d*)\])?(?:\[(\w+)\])?")
MOST_PER_PAGE = 100
LONGEST_URL = 16_000
LOG_LENGTH = 100_000
SHOWING = ("cellFormat", "returnFieldsByFieldId")
PLACE = ("timeZone", "userLocale")  # in the query, even of a POST
LISTING = (
    *SHOWING,
    "pageSize",
    "maxRecords",
    "offset",
    "view",
    "sort",
    "filterByFormula",
    "fields",
    "recordMetadata",
    "includeDateDependencyMetadata",
)
TIMES = ("date", "dateTime", "createdTime", "lastModifiedTime")
# What each fault does, and how many calls it hits when `times` is not given (None: every one).
FAULTS: dict[str, tuple[str, int | None]] = {
    "answer": (
        "status, type, message and shape (object, type, text, list, html); or body (text or JSON); headers",
        1,
    ),
    "server_error": ("500 SERVER_ERROR; with `applied` true what was asked is done before", 1),
    "bad_gateway": ("502 with an HTML page; `applied` as above", 1),
    "unavailable": ("503 RETRIABLE_ERROR; `applied` as above", 1),
    "rate_limit": ("429 RATE_LIMIT_REACHED", 1),
    "billing_limit": ("429 PUBLIC_API_BILLING_LIMIT_EXCEEDED", None),
    "not_json": ("200 with an HTML page; `applied` as above", 1),
    "forbid": ("403 INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND", None),
    "revoke": ("401: the token is revoked; `after` says when", None),
    "drop": ("close the connection, having done nothing", 1),
    "apply_then_drop": ("do as asked, then close the connection without an answer", 1),
    "cut": ("send half of the answer, then close the connection", 1),
    "slow": ("wait `ms` milliseconds, then do as asked", 1),
    "late": ("do as asked, then wait `ms` milliseconds before the answer", 1),
    "attachments_fail": ("records are written without the attachments given by url", 1),
    "lost_iterator": ("422 LIST_RECORDS_ITERATOR_NOT_AVAILABLE on calls with an offset", 1),
    "half_page": ("a page holds half of its rows, and its offset is lost", 1),
    "shift": ("`rows` by which pages after the first have moved: 1 skips one, -1 repeats one", None),
    "apply": ("after the answer is made, make `changes` in the base", 1),
}
ERRORS = {
    "server_error": (500, "SERVER_ERROR", "An unexpected error occurred"),
    "unavailable": (503, "RETRIABLE_ERROR", "The server could not process your request in time"),
    "billing_limit": (
        429,
        "PUBLIC_API_BILLING_LIMIT_EXCEEDED",
        "The API billing plan limit of this workspace has been exceeded.",
    ),
}


@dataclass
class Call:
    """One request. `parts` of its path, decoded one by one: a name may hold a slash."""

    method: str
    path: str
    parts: list[str]
    query: Json
    headers: dict[str, str]
    body: bytes
    entry: Json
    struck: list[Fault] = field(default_factory=list)

    @property
    def base(self) -> str | None:
        """The id of the base it is about."""
        return next((part for part in self.parts if is_base(part)), None)

    @cached_property
    def sent(self) -> Json:
        """The body when it is a JSON object, else nothing."""
        try:
            body = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return body if isinstance(body, dict) else {}

    def fault(self, do: str) -> Fault | None:
        return next((fault for fault in self.struck if fault.do == do), None)


@dataclass
class Work:
    """What a call asks for. `is_of_records`: it stops when the month's calls are spent."""

    does: str
    work: Callable[[Call, Json], Response]
    is_of_records: bool = False


@dataclass
class Iterator:
    """A listing under way: its records in order as the first page found them."""

    keys: list[str]
    wish: Json
    used: float
    is_lost: bool = False


class View:
    """A record as a formula sees it."""

    def __init__(self, base: Base, table: Table, record: Record, now: datetime) -> None:
        self.base, self.table, self.record = base, table, record
        self.id, self.now = record.id, now

    @property
    def created(self) -> datetime:
        return datetime.fromtimestamp(self.record.created / 1000, UTC)

    @property
    def modified(self) -> datetime:
        return datetime.fromtimestamp(self.record.modified / 1000, UTC)

    def cell(self, name: str) -> Any:
        item = self.table.field(name)
        found = value(self.base, self.table, self.record, item) if item else None
        if item is None or found is None:
            return None
        if isinstance(found, dict) and ("error" in found or "specialValue" in found):
            raise BadValue
        if item["type"] in TIMES:
            moment = datetime.fromisoformat(found)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(found, int | float) and not isinstance(found, bool):
            return float(found)
        return found if isinstance(found, bool) else text(self.base, self.table, self.record, item)


class Limits:
    """Who called when. Sliding seconds of each base and each token, and the calls of each month."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.calls: dict[str, deque[float]] = {}
        self.locked_until: dict[str, float] = {}
        self.months: Counter[str] = Counter()

    def pass_or_refuse(self, now: float, who: str, most: int) -> None:
        """Count one call of a base or a token. Raises Refusal when it is one too many."""
        if self.settings.mode == "off":
            return
        calls = self.calls.setdefault(who, deque())
        while calls and calls[0] <= now - 1:
            calls.popleft()
        is_locked = now < self.locked_until.get(who, 0)
        if not is_locked and len(calls) < most:
            calls.append(now)
            return
        if self.settings.mode == "strict" and (not is_locked or self.settings.lockout_restarts):
            self.locked_until[who] = now + self.settings.lockout
        raise self.refusal()

    def refusal(self) -> Refusal:
        return Refusal(
            429,
            "RATE_LIMIT_REACHED",
            "Rate limit exceeded. Please try again later",
            self.settings.limit_shape,
            {"Retry-After": str(int(self.settings.lockout))} if self.settings.retry_after else None,
        )


def parameters(query_string: str) -> Json:
    """`fields[]=A&sort[0][field]=B` as JSON would have it. Raises Refusal for brackets that make no sense."""
    found: Json = {}
    rows: dict[tuple[str, str], Json] = {}
    for name, text_value in parse_qsl(query_string, keep_blank_values=True):
        match = PARAMETER.fullmatch(name)
        if match is None:
            raise wrong_parameter()
        key, place, part = match.groups()
        if part is not None:
            rows.setdefault((key, place or ""), {})[part] = text_value
        elif place is not None or key in ("fields", "recordMetadata", "include"):
            found.setdefault(key, []).append(text_value)
        else:
            found[key] = text_value
    for (key, _), row in sorted(rows.items(), key=lambda item: (item[0][0], int(item[0][1] or 0))):
        found.setdefault(key, []).append(row)
    return found


def as_json(found: Any) -> Response:
    return Response(orjson.dumps(found), media_type="application/json")


class Airtable:
    """Answers for the bases of one store; `control` is what steers it."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store, self.clock = store, clock
        self.bases = Bases(store)
        self.settings = Settings()
        self.writes, self.schemas = Writes(self.bases, self.settings), Schemas(self.bases, self.settings)
        self.limits = Limits(self.settings)
        self.tokens: dict[str, Json] = {TOKEN: {"scopes": list(SCOPES)}}
        self.iterators: dict[str, Iterator] = {}
        self.started = 0  # iterators so far
        self.faults = Faults(FAULTS)
        self.log: deque[Json] = deque(maxlen=LOG_LENGTH)
        self.control = Starlette(
            routes=[
                Route("/", guarded(self.tell_about)),
                Route("/requests", guarded(self.tell_requests), methods=["GET", "DELETE"]),
                Route("/faults", guarded(self.faults.steer), methods=["GET", "POST", "DELETE"]),
                Route("/settings", guarded(self.set_settings), methods=["GET", "POST"]),
                Route("/changes", guarded(self.make_changes), methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope["raw_path"].decode("latin-1").partition("?")[0].removeprefix(PREFIX)
        query_string = scope["query_string"].decode("latin-1")
        entry: Json = {"at": self.clock(), "method": scope["method"], "path": unquote(raw), "status": None}
        self.log.append(entry)
        began = time.perf_counter()
        headers = {name.decode().lower(): item.decode("latin-1") for name, item in scope["headers"]}
        parts = [unquote(part) for part in raw.split("/")[1:]]
        call = Call(scope["method"], unquote(raw), parts, {}, headers, await whole(receive), entry)
        if call.base:
            entry["base"] = call.base
        route = self.route(call)
        if route:
            entry["does"] = route.does
            if call.method != "GET" and route.does != "list":
                entry["body"] = call.sent
        answer: Response | None = None
        try:
            call.query = entry["query"] = parameters(query_string)
            if len(raw) + len(query_string) >= LONGEST_URL:
                raise Refusal(414, shape="html")
        except Refusal as refusal:
            answer = refusal.answer()
        call.struck = self.struck(call)
        if call.struck:
            entry["faults"] = [fault.do for fault in call.struck]
        if slow := call.fault("slow"):
            await asyncio.sleep(slow.more.get("ms", 1000) / 1000)
        if call.fault("drop"):
            await drop(send)
            return
        self.store.refresh()
        self.bases.refresh()
        try:
            answer = answer or self.answer(call, route)
        except Refusal as refusal:
            answer = refusal.answer()
        answer.raw_headers.append(dated(self.clock()))
        if answer.status_code < 400 or self.settings.failures_count:
            self.limits.months[self.month()] += 1
        if apply := call.fault("apply"):
            self.change(apply.more.get("changes", []))
        if late := call.fault("late"):
            await asyncio.sleep(late.more.get("ms", 1000) / 1000)
        entry["status"], entry["millis"] = answer.status_code, round((time.perf_counter() - began) * 1000, 1)
        if not (call.fault("cut") or call.fault("apply_then_drop")):
            await answer(scope, receive, send)
            return
        entry["status"] = None
        if call.fault("cut"):
            half = bytes(answer.body)[: len(answer.body) // 2]
            start = {"type": "http.response.start", "status": answer.status_code}
            await send({**start, "headers": answer.raw_headers})
            await send({"type": "http.response.body", "body": half, "more_body": True})
        await drop(send)

    def struck(self, call: Call) -> list[Fault]:
        query = {name: found for name, found in wish_of(call).items() if isinstance(found, str)}
        faults = [fault for fault in self.faults if fault.do != "lost_iterator" or "offset" in query]
        return [fault for fault in faults if fault.strikes(call.method, call.path, query)]

    def month(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m")

    # -- who may ask, and how often

    def route(self, call: Call) -> Work | None:
        match (call.method, call.parts):
            case ("GET", ["v0", "meta", "whoami"]):
                return Work("whoami", self.whoami)
            case ("GET", ["v0", "meta", "bases"]):
                return Work("bases", self.list_bases)
            case (method, ["v0", "meta", "bases", base, "tables", *rest]) if is_base(base):
                match (method, rest):
                    case ("GET", []):
                        return Work("schema", self.schema)
                    case ("POST", []):
                        return Work("create_table", self.create_table)
                    case ("PATCH", [_]):
                        return Work("change_table", self.change_table)
                    case ("POST", [_, "fields"]):
                        return Work("create_field", self.create_field)
                    case ("PATCH", [_, "fields", _]):
                        return Work("change_field", self.change_field)
            case ("GET", ["v0", base, _]) | ("POST", ["v0", base, _, "listRecords"]) if is_base(base):
                return Work("list", self.listing, is_of_records=True)
            case (method, ["v0", base, _]) if is_base(base):
                match method:
                    case "POST":
                        return Work("create", self.create, is_of_records=True)
                    case "PATCH" | "PUT":
                        does = "upsert" if isinstance(call.sent.get("performUpsert"), dict) else "update"
                        return Work(does, self.update, is_of_records=True)
                    case "DELETE":
                        return Work("delete", self.delete, is_of_records=True)
            case (method, ["v0", base, _, record]) if is_base(base) and RECORD_ID.fullmatch(record):
                match method:
                    case "GET":
                        return Work("get", self.record, is_of_records=True)
                    case "PATCH" | "PUT":
                        return Work("update", self.update_one, is_of_records=True)
                    case "DELETE":
                        return Work("delete", self.delete_one, is_of_records=True)
        return None

    def answer(self, call: Call, route: Work | None) -> Response:
        """Raises Refusal. Its checks are in Airtable's order: path, token, limits, base, table, the rest."""
        if route is None:
            raise no_route()
        name, token = self.token(call)
        now, most = self.clock(), self.settings
        cap = most.monthly_cap
        is_spent = cap is not None and self.limits.months[self.month()] >= cap
        self.limits.pass_or_refuse(now, f"token {name}", most.calls_a_second_of_token)
        if call.base:
            slowed = most.calls_a_second_past_cap if is_spent else None
            self.limits.pass_or_refuse(now, call.base, slowed or most.calls_a_second)
        if is_spent and route.is_of_records and most.calls_a_second_past_cap is None:
            raise Refusal(*ERRORS["billing_limit"])
        for fault in call.struck:
            if planned := self.planned(fault):
                if fault.more.get("applied"):
                    route.work(call, token)
                return planned
        return route.work(call, token)

    def planned(self, fault: Fault) -> Response | None:
        """The answer a fault gives in place of the API."""
        more = fault.more
        if fault.do in ERRORS:
            return Refusal(*ERRORS[fault.do]).answer()
        if fault.do == "rate_limit":
            return self.limits.refusal().answer()
        if fault.do == "lost_iterator":
            return lost_iterator(says_why=self.settings.iterator_message).answer()
        if fault.do == "forbid":
            return not_yours().answer()
        if fault.do in ("bad_gateway", "not_json"):
            return Refusal(502 if fault.do == "bad_gateway" else 200, shape="html").answer()
        if fault.do != "answer":
            return None
        status, body = int(more.get("status", 500)), more.get("body")
        if isinstance(body, str):
            return Response(body, status, more.get("headers"), media_type="text/html")
        if body is not None:
            return Response(orjson.dumps(body), status, more.get("headers"), media_type="application/json")
        words = more.get("type", "SERVER_ERROR"), more.get("message", ""), more.get("shape", "object")
        return Refusal(status, *words, more.get("headers")).answer()

    def token(self, call: Call) -> tuple[str, Json]:
        scheme, _, word = call.headers.get("authorization", "").partition(" ")
        name = word.strip()
        if scheme.lower() != "bearer" or not name:
            raise Refusal(401, "AUTHENTICATION_REQUIRED", "Authentication required")
        if name not in self.tokens or call.fault("revoke"):
            raise Refusal(401, "UNAUTHORIZED", "Invalid authentication token")
        return name, self.tokens[name]

    def base(self, key: str, token: Json, scope: str) -> Base:
        base = self.bases.all().get(key)
        if base is None or scope not in token["scopes"] or key not in token.get("bases", [key]):
            raise not_yours()
        needed = {"data.records:write": "edit", "schema.bases:write": "create"}.get(scope, "read")
        level = LEVELS.index(level_of(base, token))
        if not level:
            raise not_yours()
        if level < LEVELS.index(needed):
            raise no_permission()
        return base

    def table(self, call: Call, token: Json, scope: str = "data.records:read") -> tuple[Base, Table]:
        base = self.base(call.base or "", token, scope)
        table = base.table(call.parts[call.parts.index(base.id) + (1 if "records" in scope else 2)])
        if table is None:
            raise not_yours()
        return base, table

    # -- metadata

    def whoami(self, call: Call, token: Json) -> Response:
        told = ("id", "email") if "user.email:read" in token["scopes"] else ("id",)
        return as_json({name: USERS[0][name] for name in told})

    def list_bases(self, call: Call, token: Json) -> Response:
        if "schema.bases:read" not in token["scopes"]:
            raise not_yours()
        found = [
            {"id": base.id, "name": base.name, "permissionLevel": level_of(base, token)}
            for base in self.bases.all().values()
            if base.id in token.get("bases", [base.id])
        ]
        return as_json({"bases": found})

    def schema(self, call: Call, token: Json) -> Response:
        base = self.base(call.parts[3], token, "schema.bases:read")
        has_visible = "visibleFieldIds" in call.query.get("include", [])
        return as_json({"tables": [table.wire(has_visible=has_visible) for table in base.tables]})

    def create_table(self, call: Call, token: Json) -> Response:
        base = self.base(call.parts[3], token, "schema.bases:write")
        return as_json(self.schemas.create_table(base, self.body(call)).wire())

    def change_table(self, call: Call, token: Json) -> Response:
        base, table = self.table(call, token, "schema.bases:write")
        return as_json(self.schemas.change_table(base, table, self.body(call)).wire())

    def create_field(self, call: Call, token: Json) -> Response:
        base, table = self.table(call, token, "schema.bases:write")
        return as_json(self.schemas.create_field(base, table, self.body(call)))

    def change_field(self, call: Call, token: Json) -> Response:
        base, table = self.table(call, token, "schema.bases:write")
        item = next((one for one in table.fields if one["id"] == call.parts[7]), None)
        if item is None:
            raise not_yours()
        return as_json(self.schemas.change_field(base, table, item, self.body(call)))

    # -- writing records

    def create(self, call: Call, token: Json) -> Response:
        base, table = self.table(call, token, "data.records:write")
        body = self.body(call)
        fails = call.fault("attachments_fail") is not None
        done = self.writes.create(base, table, body, self.moment(), attachments_fail=fails)
        return self.told(call, base, table, body, done, is_one="fields" in body)

    def update(self, call: Call, token: Json) -> Response:
        base, table = self.table(call, token, "data.records:write")
        body = self.body(call)
        done = self.writes.update(base, table, body, self.moment(), replaces=call.method == "PUT")
        return self.told(call, base, table, body, done)

    def update_one(self, call: Call, token: Json) -> Response:
        base, table = self.table(call, token, "data.records:write")
        body = self.body(call)
        replaces = call.method == "PUT"
        done = self.writes.update_one(base, table, call.parts[3], body, self.moment(), replaces=replaces)
        return self.told(call, base, table, body, done, is_one=True)

    def told(
        self, call: Call, base: Base, table: Table, body: Json, done: Written, *, is_one: bool = False
    ) -> Response:
        call.entry["rows"] = len(done.records)
        rows = [self.wire(base, table, record, body, None) for record in done.records]
        details: Json = {"details": done.details} if done.details else {}
        if is_one:
            return as_json(rows[0] | details)
        if body.get("performUpsert") is not None:
            details |= {"updatedRecords": done.updated, "createdRecords": done.created}
        return as_json({"records": rows, **details})

    def delete(self, call: Call, token: Json) -> Response:
        base, table = self.table(call, token, "data.records:write")
        if not set(call.query) <= {"records"}:
            raise wrong_parameter()
        keys = self.writes.delete(base, table, call.query.get("records"))
        call.entry["rows"] = len(keys)
        return as_json({"records": [{"id": key, "deleted": True} for key in keys]})

    def delete_one(self, call: Call, token: Json) -> Response:
        base, table = self.table(call, token, "data.records:write")
        [key] = self.writes.delete_one(base, table, call.parts[3])
        call.entry["rows"] = 1
        return as_json({"id": key, "deleted": True})

    def body(self, call: Call) -> Json:
        """Raises Refusal for what is no JSON object, or too large."""
        if len(call.body) > self.settings.largest_body:
            raise Refusal(413, "REQUEST_TOO_LARGE", "Request body is too large")
        if not call.headers.get("content-type", "").startswith("application/json"):
            raise Refusal(422, "INVALID_REQUEST_BODY", "Could not parse request body")
        try:
            body = orjson.loads(call.body)
        except orjson.JSONDecodeError:
            raise Refusal(400, "INVALID_REQUEST_BODY", "Could not parse request body") from None
        if not isinstance(body, dict) or (call.query and call.parts[-1] != "listRecords"):
            raise wrong_parameter()
        return body

    def moment(self) -> int:
        return int(self.clock() * 1000)

    # -- reading records

    def record(self, call: Call, token: Json) -> Response:
        base, _ = self.table(call, token)
        if not set(call.query) <= {*SHOWING, *PLACE}:
            raise wrong_parameter()
        check_format(call.query)
        found = base.record(call.parts[3])  # in whichever table it is
        if found is None:
            raise no_record()
        return as_json(self.wire(base, *found, call.query, None))

    def listing(self, call: Call, token: Json) -> Response:
        base, table = self.table(call, token)
        wish = self.checked(call)
        size = min(whole_number(wish.get("pageSize", MOST_PER_PAGE)), self.settings.most_per_page)
        shown = None if "fields" not in wish else [known(table, name) for name in wish["fields"]]
        key, place, under_way = self.under_way(base, table, wish)
        if place and (shift := call.fault("shift")):
            place = max(0, place + int(shift.more.get("rows", 1)))
        if half := call.fault("half_page"):
            size, under_way.is_lost = max(1, size // 2), True
        rows: list[Json] = []
        keys = under_way.keys
        while place < len(keys) and len(rows) < size:
            if keys[place] in table.records:
                rows.append(self.wire(base, table, table.records[keys[place]], wish, shown))
            place += 1
        found: Json = {"records": rows}
        if place < len(keys) or half:
            self.iterators[key] = under_way
            found["offset"] = f"{key}/{keys[place - 1]}"
        call.entry["rows"] = len(rows)
        return as_json(found)

    def checked(self, call: Call) -> Json:
        """The parameters of a listing. Raises Refusal for what the table need not be asked about."""
        wish = wish_of(call)
        if call.method == "POST":
            if not set(self.body(call)) <= set(LISTING):
                raise wrong_parameter()
        elif not set(wish) <= {*LISTING, *PLACE}:
            raise wrong_parameter()
        check_format(wish)
        for name in ("fields", "sort", "recordMetadata"):
            if not isinstance(wish.get(name, []), list):
                raise wrong_parameter()
        for row in wish.get("sort", []):
            is_row = isinstance(row, dict) and "field" in row and set(row) <= {"field", "direction"}
            if not is_row or row.get("direction", "asc") not in ("asc", "desc"):
                raise wrong_parameter()
        if not set(wish.get("recordMetadata", [])) <= {"commentCount"}:
            raise wrong_parameter()
        if not 1 <= whole_number(wish.get("pageSize", 1)) <= MOST_PER_PAGE:
            raise wrong_parameter()
        if whole_number(wish.get("maxRecords", 1)) < 1:
            raise wrong_parameter()
        return wish

    def under_way(self, base: Base, table: Table, wish: Json) -> tuple[str, int, Iterator]:
        """The iterator of this listing, and the place in it where the page begins."""
        rest = {name: found for name, found in wish.items() if name != "offset"} | {"table": table.id}
        now, says_why = self.clock(), self.settings.iterator_message
        if "offset" not in wish:
            life = self.settings.iterator_life
            self.iterators = {name: one for name, one in self.iterators.items() if now - one.used <= life}
            self.started += 1
            keys = self.in_order(base, table, wish)
            # With the clock in it: after a restart no old cursor fits by chance.
            return identity("itr", table.id, self.started, time.time()), 0, Iterator(keys, rest, now)
        match = OFFSET.fullmatch(str(wish["offset"]))
        if match is None:
            raise Refusal(422, "INVALID_OFFSET_VALUE", "The value of offset is invalid")
        key, record = match.groups()
        found = self.iterators.get(key)
        if found is None or found.is_lost or now - found.used > self.settings.iterator_life:
            raise lost_iterator(says_why=says_why)
        if found.wish != rest or record not in found.keys:
            raise Refusal(422, "INVALID_OFFSET_VALUE", "The value of offset is invalid")
        found.used = now
        return key, found.keys.index(record) + 1, found

    def in_order(self, base: Base, table: Table, wish: Json) -> list[str]:
        """The ids that a listing gives, over all its pages."""
        rows, order = list(table.records.values()), wish.get("sort")
        filters = [wish["filterByFormula"]] if wish.get("filterByFormula") else []
        if "view" in wish:
            view = table.view(str(wish["view"]))
            if view is None:
                by = "ID" if str(wish["view"]).startswith("viw") else "NAME"
                raise Refusal(422, f"VIEW_{by}_NOT_FOUND", f"View {wish['view']} not found")
            order = order or view.get("_sort")
            filters += [view["_filter"]] if "_filter" in view else []
        now = datetime.fromtimestamp(self.clock(), UTC)
        for words in filters:
            formula = self.formula(table, words)
            rows = [row for row in rows if formula.keeps(View(base, table, row, now))]
        for one in reversed(order or []):
            item = known(table, one["field"])
            rows.sort(key=sorting(base, table, item), reverse=one.get("direction") == "desc")
        keys = [row.id for row in rows]
        return keys[: whole_number(wish["maxRecords"])] if "maxRecords" in wish else keys

    def formula(self, table: Table, words: Any) -> Formula:
        try:
            formula = compiled(str(words))
        except BadFormula as error:
            raise bad_formula(str(error)) from None
        unknown = [name.lower() for name in formula.fields if table.field(name) is None]
        if unknown:
            raise bad_formula(f"Unknown field names: {', '.join(unknown)}")
        return formula

    def wire(self, base: Base, table: Table, record: Record, wish: Json, shown: list[Json] | None) -> Json:
        name = "id" if is_true(wish.get("returnFieldsByFieldId")) else "name"
        cells: Json = {}
        for item in table.fields if shown is None else shown:
            cell = value(base, table, record, item)
            if cell is None:
                continue
            if wish.get("cellFormat") == "string":
                cell = text(base, table, record, item)
            elif item["type"] == "multipleRecordLinks" and is_true(wish.get("includeDateDependencyMetadata")):
                cell = [{"id": key} for key in cell]
            cells[item[name]] = cell
        found: Json = {"id": record.id, "createdTime": iso(record.created), "fields": cells}
        return found | ({"commentCount": 0} if wish.get("recordMetadata") else {})

    # -- what tests and people steer it with

    def tell_about(self, request: Request, wish: Json) -> Json:
        self.bases.refresh()
        return {
            "bases": {
                base.id: {table.name: len(table.records) for table in base.tables}
                for base in self.bases.all().values()
            },
            "calls_by_month": dict(self.limits.months),
            "settings": asdict(self.settings),
            "faults": {name: told for name, (told, _) in FAULTS.items()},
        }

    def tell_requests(self, request: Request, wish: Json) -> Json:
        """Every call; `peak`: the most to one base within any second of the stand-in's clock; `sums`: calls
        and rows by what they do."""
        found = list(self.log)
        if request.method == "DELETE":
            self.log.clear()
        return {"count": len(found), "peak": peak(found), "sums": sums(found), "requests": found}

    def set_settings(self, request: Request, wish: Json) -> Json:
        """`tokens` by name: {"scopes": [...]} and, if not all, {"bases": [ids]} and {"permission": "read"}.
        Limits start anew."""
        if request.method == "POST":
            tokens = wish.pop("tokens", self.tokens)
            if not all("scopes" in token for token in tokens.values()):
                raise ValueError("a token has scopes")
            if not all(token.get("permission", "read") in LEVELS for token in tokens.values()):
                raise ValueError(f"a permission is one of {', '.join(LEVELS)}")
            self.settings.set(wish)
            self.tokens, self.limits = tokens, Limits(self.settings)
        return {**asdict(self.settings), "tokens": len(self.tokens)}

    def make_changes(self, request: Request, wish: Any) -> Json:
        self.store.refresh()
        self.bases.refresh()
        return {"changed": self.change(wish if isinstance(wish, list) else [wish])}

    def change(self, changes: list[Json]) -> list[Any]:
        """What people do in the base while a client reads it. Tables and fields by name or id.

        Raises KeyError or ValueError with a sentence. Gives what was made: the id of a record or field.
        """
        return [self._change(dict(change)) for change in changes]

    def _change(self, change: Json) -> Any:
        do = change.pop("do", None)
        if do == "lose_iterators":
            for iterator in self.iterators.values():
                iterator.is_lost = True
            return None
        if do == "revoke_token":
            del self.tokens[change["token"]]
            return None
        bases = self.bases.all()
        base = bases[change["base"]] if "base" in change else next(iter(bases.values()))
        if do == "set_permission":
            base.permission = LEVELS[LEVELS.index(change["permission"])]
            self.bases.keep_schema(base)
            return None
        table = base.table(change["table"])
        if table is None:
            raise KeyError(f"no such table: {change['table']}")
        moment = self.moment()
        if do in ("create", "edit"):
            cells = {self.item(table, name)["id"]: cell for name, cell in change["fields"].items()}
            if do == "create":
                return self.bases.create(base, table, cells, moment).id
            record = table.records[change["record"]]
            moves_linked = self.settings.links_move_modified
            self.bases.write(base, table, record, cells, moment, moves_linked=moves_linked)
        elif do == "delete":
            self.bases.delete(base, table, change["record"])
        elif do == "rename_table":
            table.name = change["name"]
        elif do == "delete_table":
            self.bases.delete_table(base, table)
        elif do == "add_field":
            item = {"id": self.bases.new_id("fld", table.id), "name": change["name"]}
            item |= {"type": change["type"]}
            item |= {"options": change["options"]} if "options" in change else {}
            table.fields.append(item)
            self.bases.keep_schema(base)
            return item["id"]
        elif do in ("rename_field", "change_type", "delete_field", "delete_option"):
            item = self.item(table, change["field"])
            if do in ("change_type", "delete_field"):
                self.bases.cut_inverse(base, item)
            self._change_field(table, item, do, change)
        else:
            raise ValueError(f"no such change: {do}")
        self.bases.keep_schema(base)
        return change.get("record")

    def _change_field(self, table: Table, item: Json, do: str, change: Json) -> None:
        if do == "rename_field":
            item["name"] = change["name"]
        elif do == "delete_field":
            if item["id"] == table.primary:
                raise ValueError("the primary field cannot be deleted")
            table.fields.remove(item)
            self.bases.convert(table, item["id"], lambda cell: None)
        elif do == "delete_option":
            left = [one for one in item["options"]["choices"] if one["name"] != change["option"]]
            item["options"]["choices"] = left
            gone = change["option"]
            self.bases.convert(table, item["id"], lambda cell: without(cell, gone))
        else:
            item["type"] = change["type"]
            item.pop("options", None)
            if "options" in change:
                item["options"] = change["options"]
            self.bases.convert(table, item["id"], lambda cell: converted(cell, change["type"]))

    @staticmethod
    def item(table: Table, name: str) -> Json:
        found = table.field(name)
        if found is None:
            raise KeyError(f"no such field: {name}")
        return found


def wish_of(call: Call) -> Json:
    """The parameters of a call; of a POST those in its body, and from its query what belongs there."""
    if call.method != "POST":
        return call.query
    return call.sent | {name: found for name, found in call.query.items() if name in PLACE}


def check_format(wish: Json) -> None:
    is_text = wish.get("cellFormat", "json") == "string"
    if wish.get("cellFormat", "json") not in ("json", "string") or (is_text and not set(PLACE) <= set(wish)):
        raise wrong_parameter()


def known(table: Table, name: Any) -> Json:
    item = table.field(str(name))
    if item is None:
        raise unknown_field(str(name))
    return item


def sorting(base: Base, table: Table, item: Json) -> Callable[[Record], Any]:
    """Empty cells first; numbers by size, options in their order, all else as text."""
    options = [one["name"] for one in item.get("options", {}).get("choices", [])]

    def key(record: Record) -> Any:
        found = value(base, table, record, item)
        if found is None:
            return (0, 0, "")
        if item["type"] == "singleSelect":
            return (1, options.index(found) if found in options else len(options), "")
        if isinstance(found, int | float):
            return (1, found, "")
        return (1, 0, text(base, table, record, item).casefold())

    return key


def peak(calls: list[Json]) -> int:
    """The most calls to one base within any second."""
    most = 0
    windows: dict[str, deque[float]] = {}
    for call in calls:
        if "base" in call:
            window = windows.setdefault(call["base"], deque())
            window.append(call["at"])
            while window[0] <= call["at"] - 1:
                window.popleft()
            most = max(most, len(window))
    return most


def without(cell: Any, option: str) -> Any:
    if isinstance(cell, list):
        return [one for one in cell if one != option]
    return None if cell == option else cell


def converted(cell: Any, kind: str) -> Any:
    """A cell after its field changed its type: kept where that makes sense, else empty."""
    if kind in NUMBERS:
        try:
            return float(cell)
        except (TypeError, ValueError):
            return None
    if kind == "checkbox":
        return True
    if isinstance(cell, list | dict):
        return None
    return str(cell)


def sums(calls: list[Json]) -> Json:
    """Calls and rows by what they do. Rows of a call whose answer was lost count, refused ones do not."""
    found: dict[str, Counter[str]] = {}
    for call in calls:
        if "does" in call:
            found.setdefault(call["does"], Counter()).update(calls=1, rows=call.get("rows", 0))
    return dict(found)


def level_of(base: Base, token: Json) -> str:
    """What the owner of a token may do in a base: the lower of both."""
    return min(base.permission, token.get("permission", LEVELS[-1]), key=LEVELS.index)


def is_base(word: str) -> bool:
    return BASE_ID.fullmatch(word) is not None


def is_true(word: Any) -> bool:
    return word is True or word in ("true", "1")


def whole_number(word: Any) -> int:
    if isinstance(word, bool) or not re.fullmatch(r"\d{1,9}", str(word)):
        raise wrong_parameter()
    return int(word)


async def whole(receive: Receive) -> bytes:
    body = b""
    while True:
        message: Message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
