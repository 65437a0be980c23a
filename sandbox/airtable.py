"""Airtable's Web API as its clients meet it: paths, paging, formulas, limits and the bodies of its errors.

What Airtable does not say is a setting (`Settings`), so that a client can be tried against either answer.
"""

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from sandbox.bases import Base, Bases, Record, Table, identity, iso, value
from sandbox.store import Json, Store

PREFIX = "/airtable"
TOKEN = "sandbox"  # noqa: S105
SCOPES = ("data.records:read", "schema.bases:read", "user.email:read")
USER = {"id": identity("usr", "staff"), "email": "ana@example.org"}
BASE_ID = re.compile(r"app[0-9A-Za-z]{14}")
RECORD_ID = re.compile(r"rec[0-9A-Za-z]{14}")
OFFSET = re.compile(r"(itr[0-9A-Za-z]{14})/(rec[0-9A-Za-z]{14})")
PARAMETER = re.compile(r"(\w+)(?:\[(\d*)\])?(?:\[(\w+)\])?")
MOST_PER_PAGE = 100
LONGEST_URL = 16_000
HTML = b"<html><head><title>%d</title></head><body><h1>%d</h1></body></html>"
# Parameters of a listing; those of the second line also of a single record, and never in a POST's body.
LISTING = (
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
SHOWING = ("cellFormat", "returnFieldsByFieldId")
PLACE = ("timeZone", "userLocale")


class Refusal(Exception):
    """An answer that is an error. `shape`: object, type (no message), text, list or html."""

    def __init__(self, status: int, kind: str = "", message: str = "", shape: str = "object") -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.shape = status, kind, message, shape

    def answer(self) -> Response:
        if self.shape == "html":
            return Response(HTML % (self.status, self.status), self.status, media_type="text/html")
        error: Json = {"type": self.kind}
        if self.message and self.shape != "type":
            error["message"] = self.message
        body: Json = {"error": error}
        if self.shape == "text":
            body = {"error": self.kind}
        elif self.shape == "list":
            body = {"errors": [{"error": self.kind, "message": self.message}]}
        return Response(orjson.dumps(body), self.status, media_type="application/json")


def no_route() -> Refusal:
    return Refusal(404, "NOT_FOUND", shape="text")


def not_yours() -> Refusal:
    return Refusal(
        403,
        "INVALID_PERMISSIONS_OR_MODEL_NOT_FOUND",
        "Invalid permissions, or the requested model was not found. Check that both your user and your token "
        "have the required permissions, and that the model names and/or ids are correct.",
    )


def wrong_parameter() -> Refusal:
    return Refusal(
        422,
        "INVALID_REQUEST_UNKNOWN",
        "Invalid request: parameter validation failed. Check your request data.",
    )


def unknown_field(name: str) -> Refusal:
    return Refusal(422, "UNKNOWN_FIELD_NAME", f'Unknown field name: "{name}"')


@dataclass
class Call:
    """One request. `parts` of its path after /v0, decoded one by one: a name may hold a slash."""

    method: str
    path: str
    parts: list[str]
    query: Json
    headers: dict[str, str]
    body: bytes
    length: int
    entry: Json


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
    """Answers for the bases of one store."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store, self.clock = store, clock
        self.bases = Bases(store)
        self.tokens: dict[str, Json] = {TOKEN: {"scopes": list(SCOPES)}}
        self.log: deque[Json] = deque(maxlen=100_000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        raw = scope["raw_path"].decode("latin-1").partition("?")[0].removeprefix(PREFIX)
        query_string = scope["query_string"].decode("latin-1")
        entry: Json = {"at": self.clock(), "method": scope["method"], "path": unquote(raw), "status": None}
        self.log.append(entry)
        began = time.perf_counter()
        call = Call(
            scope["method"],
            unquote(raw),
            [unquote(part) for part in raw.split("/")[1:]],
            {},
            {name.decode().lower(): item.decode("latin-1") for name, item in scope["headers"]},
            await whole(receive),
            len(raw) + len(query_string) + 1,
            entry,
        )
        self.store.refresh()
        self.bases.refresh()
        try:
            call.query = entry["query"] = parameters(query_string)
            answer = self.answer(call)
        except Refusal as refusal:
            answer = refusal.answer()
        entry["status"] = answer.status_code
        entry["millis"] = round((time.perf_counter() - began) * 1000, 1)
        await answer(scope, receive, send)

    # -- routes

    def answer(self, call: Call) -> Response:
        """Raises Refusal. Its checks are in Airtable's order: path, token, limits, base, table, the rest."""
        match (call.method, call.parts):
            case ("GET", ["v0", "meta", "whoami"]):
                work = self.whoami
            case ("GET", ["v0", "meta", "bases"]):
                work = self.list_bases
            case ("GET", ["v0", "meta", "bases", base, "tables"]) if is_base(base):
                work = self.schema
            case ("GET", ["v0", base, _]) | ("POST", ["v0", base, _, "listRecords"]) if is_base(base):
                work = self.listing
            case ("GET", ["v0", base, _, record]) if is_base(base) and RECORD_ID.fullmatch(record):
                work = self.record
            case _:
                raise no_route()
        return work(call, self.token(call))

    def token(self, call: Call) -> Json:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refusal(401, "AUTHENTICATION_REQUIRED", "Authentication required")
        if token.strip() not in self.tokens:
            raise Refusal(401, "UNAUTHORIZED", "Invalid authentication token")
        return self.tokens[token.strip()]

    def base(self, key: str, token: Json, scope: str) -> Base:
        base = self.bases.all().get(key)
        if base is None or scope not in token["scopes"] or key not in token.get("bases", [key]):
            raise not_yours()
        return base

    def whoami(self, call: Call, token: Json) -> Response:
        found = {"id": USER["id"]}
        if "user.email:read" in token["scopes"]:
            found["email"] = USER["email"]
        return as_json(found)

    def list_bases(self, call: Call, token: Json) -> Response:
        if "schema.bases:read" not in token["scopes"]:
            raise not_yours()
        found = [
            {"id": base.id, "name": base.name, "permissionLevel": base.permission}
            for base in self.bases.all().values()
            if base.id in token.get("bases", [base.id])
        ]
        return as_json({"bases": found})

    def schema(self, call: Call, token: Json) -> Response:
        base = self.base(call.parts[3], token, "schema.bases:read")
        has_visible = "visibleFieldIds" in call.query.get("include", [])
        return as_json({"tables": [table.wire(has_visible=has_visible) for table in base.tables]})

    def record(self, call: Call, token: Json) -> Response:
        base, _ = self.table(call, token)
        if not set(call.query) <= {*SHOWING, *PLACE}:
            raise wrong_parameter()
        found = base.record(call.parts[3])  # in whichever table it is
        if found is None:
            raise Refusal(404, "MODEL_ID_NOT_FOUND", "Record not found")
        return as_json(self.wire(base, *found, call.query, None))

    def table(self, call: Call, token: Json) -> tuple[Base, Table]:
        base = self.base(call.parts[1], token, "data.records:read")
        table = base.table(call.parts[2])
        if table is None:
            raise not_yours()
        return base, table

    def listing(self, call: Call, token: Json) -> Response:
        base, table = self.table(call, token)
        wish = call.query
        if call.method == "POST":
            try:
                wish = {**orjson.loads(call.body), **call.query}
            except orjson.JSONDecodeError:
                raise Refusal(400, "INVALID_REQUEST_BODY", "Could not parse request body") from None
        if not set(wish) <= {*LISTING, *SHOWING, *PLACE}:
            raise wrong_parameter()
        size = whole_number(wish.get("pageSize", MOST_PER_PAGE))
        if not 1 <= size <= MOST_PER_PAGE:
            raise wrong_parameter()
        keys = list(table.records)
        begin = 0
        if "offset" in wish:
            begin = keys.index(wish["offset"].partition("/")[2]) + 1
        page = keys[begin : begin + size]
        shown = self.wanted(table, wish.get("fields"))
        found: Json = {"records": [self.wire(base, table, table.records[key], wish, shown) for key in page]}
        call.entry["rows"] = len(page)
        if begin + size < len(keys):
            found["offset"] = f"{identity('itr', table.id)}/{page[-1]}"
        return as_json(found)

    # -- records on the wire

    def wanted(self, table: Table, names: list[str] | None) -> list[Json] | None:
        if names is None:
            return None
        found = []
        for name in names:
            item = table.field(name)
            if item is None:
                raise unknown_field(name)
            found.append(item)
        return found

    def wire(self, base: Base, table: Table, record: Record, wish: Json, shown: list[Json] | None) -> Json:
        name = "id" if is_true(wish.get("returnFieldsByFieldId")) else "name"
        cells = {}
        for item in table.fields if shown is None else shown:
            cell = value(base, table, record, item)
            if cell is not None:
                cells[item[name]] = cell
        return {"id": record.id, "createdTime": iso(record.created), "fields": cells}


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
