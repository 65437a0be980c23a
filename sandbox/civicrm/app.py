"""CiviCRM as its clients meet it: form calls to API v4 and v3, keys, refusals, and what goes wrong."""

import asyncio
import base64
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from sandbox.civicrm.actions import SENSELESS, Actions, OutOfTime, Result, Who, indexed
from sandbox.civicrm.rows import Rows, Trouble
from sandbox.civicrm.schema import ENTITIES
from sandbox.civicrm.switches import Settings
from sandbox.civicrm.v3 import Version3
from sandbox.faults import Fault, Faults, dated, drop, guarded
from sandbox.store import Json, Store

PREFIX = "/civicrm"
KEY, ADMIN_KEY = "sandbox", "sandbox-admin"
API_USER = 2  # the id of its contact
# What a key for writing orders needs, and nothing that deletes.
PERMISSIONS = (
    "access CiviCRM",
    "add contacts",
    "edit all contacts",
    "view all contacts",
    "access CiviEvent",
    "view event info",
    "view event participants",
    "register for events",
    "edit event participants",
    "access CiviContribute",
    "edit contributions",
    "access all custom data",
    "authenticate with api key",
    "administer CiviCRM data",
    "view debug output",
)
LOG_LENGTH = 100_000
GATEWAY = b"<html><head><title>%d %s</title></head><body><h1>%d %s</h1></body></html>"
LOGIN = b"<!DOCTYPE html><html><body><form action='/wp-login.php'>Log in</form></body></html>"
ALERT = "SECURITY ALERT: Ajax requests can only be issued by javascript clients, eg. CRM.api4()."
NOT_BY_GET = "SECURITY: All requests that modify the database must be http POST, not GET."
# What each fault does, and how many calls it hits when `times` is not given (None: every one).
FAULTS: dict[str, tuple[str, int | None]] = {
    "answer": ("status and body (text or JSON); with `applied` true what was asked is done before", 1),
    "deadlock": ("500 with a DB Error of a deadlock, having done nothing", 1),
    "server_error": ("500 without JSON; `applied` as above", 1),
    "bad_gateway": ("502 with an HTML page; `applied` as above", 1),
    "login_page": ("200 with an HTML page; `applied` as above", 1),
    "maintenance": ("503 as in maintenance mode", 1),
    "revoke": ("401: the key is not valid any more", None),
    "stop_after": ("write `records` records, then refuse the rest with a DB Error", 1),
    "drop": ("close the connection, having done nothing", 1),
    "apply_then_drop": ("do as asked, then close the connection without an answer", 1),
    "cut": ("send half of the answer, then close the connection", 1),
    "truncated": ("half of the JSON as a whole answer", 1),
    "slow": ("wait `ms` milliseconds, then do as asked", 1),
    "late": ("do as asked, then wait `ms` milliseconds before the answer", 1),
    "apply": ("after the answer is made, make `changes` as staff would", 1),
}


@dataclass
class Call:
    """One request: `path` is that of the API, whatever form the CMS gave it; `sent` its variables."""

    method: str
    path: str
    sent: dict[str, str]
    headers: dict[str, str]
    struck: list[Fault] = field(default_factory=list)

    @property
    def is_v3(self) -> bool:
        return self.path in ("civicrm/ajax/rest", "extern/rest.php")

    def fault(self, do: str) -> Fault | None:
        return next((fault for fault in self.struck if fault.do == do), None)


class Refused(Exception):
    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class CiviCRM:
    """Answers for the site of one store; `control` is what steers it."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store, self.clock = store, clock
        self.settings = Settings()
        self.rows = Rows(store, self.settings, clock)
        self.actions = Actions(self.rows)
        self.version3 = Version3(self.actions)
        user = {"contact": API_USER, "permissions": list(PERMISSIONS)}
        self.keys: dict[str, Json] = {KEY: user, ADMIN_KEY: {"contact": API_USER, "permissions": None}}
        self.faults = Faults(FAULTS)
        self.log: deque[Json] = deque(maxlen=LOG_LENGTH)
        self.control = Starlette(
            routes=[
                Route("/", guarded(self.tell_about)),
                Route("/requests", guarded(self.tell_requests), methods=["GET", "DELETE"]),
                Route("/faults", guarded(self.faults.steer), methods=["GET", "POST", "DELETE"]),
                Route("/settings", guarded(self.set_settings), methods=["GET", "POST"]),
                Route("/changes", guarded(self.make_changes), methods=["POST"]),
                Route("/rows/{entity}", guarded(self.tell_rows)),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = unquote(scope["raw_path"].decode("latin-1").partition("?")[0].removeprefix(PREFIX))
        headers = {name.decode().lower(): item.decode("latin-1") for name, item in scope["headers"]}
        sent = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        body = await whole(receive)
        # A JSON body is no form: it counts as nothing.
        if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            sent |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        call = Call(scope["method"], route_of(raw, sent), sent, headers)
        entry: Json = {"at": self.clock(), "method": call.method, "path": call.path, "status": None}
        self.log.append(entry)
        began = time.perf_counter()
        about = call.path
        if call.is_v3:
            entry |= {"entity": sent.get("entity"), "action": sent.get("action"), "version": 3}
            about = f"{call.path}/{sent.get('entity')}/{sent.get('action')}"
        elif call.path.startswith("civicrm/ajax/api4/"):
            entity, _, action = call.path.removeprefix("civicrm/ajax/api4/").partition("/")
            entry |= {"entity": entity, "action": action, "version": 4}
        entry["params"] = parsed(sent.get("json" if call.is_v3 else "params") or sent.get("calls"))
        call.struck = [fault for fault in self.faults if fault.strikes(call.method, about, sent)]
        if call.struck:
            entry["faults"] = [fault.do for fault in call.struck]
        wait = (slow.more.get("ms", 1000) if (slow := call.fault("slow")) else 0) + self.settings.latency
        if wait:
            await asyncio.sleep(wait / 1000)
        if call.fault("drop"):
            await drop(send)
            return
        self.store.refresh()
        self.rows.refresh()
        self.actions.written = 0
        is_over = False
        try:
            answer = self.answer(call)
        except Refused as refused:
            answer = refused.answer
        except OutOfTime:
            answer, is_over = page(504, "Gateway Time-out"), self.settings.timeout_style == "drop"
        finally:
            entry["written"] = self.actions.written
        answer.raw_headers.append(dated(self.clock()))
        if apply := call.fault("apply"):
            self.change(apply.more.get("changes", []))
        late = call.fault("late")
        wait = (late.more.get("ms", 1000) if late else 0) + (
            self.actions.written * self.settings.milliseconds_a_record
        )
        if wait:
            await asyncio.sleep(wait / 1000)
        entry["status"], entry["millis"] = answer.status_code, round((time.perf_counter() - began) * 1000, 1)
        if not (is_over or call.fault("cut") or call.fault("apply_then_drop")):
            await answer(scope, receive, send)
            return
        entry["status"] = None
        if call.fault("cut"):
            half = bytes(answer.body)[: len(answer.body) // 2]
            start = {"type": "http.response.start", "status": answer.status_code}
            await send({**start, "headers": answer.raw_headers})
            await send({"type": "http.response.body", "body": half, "more_body": True})
        await drop(send)

    # -- one call

    def answer(self, call: Call) -> Response:
        instead = self.planned(call)
        if instead is not None and not any(fault.more.get("applied") for fault in call.struck):
            return instead
        found = self.work(call)
        if call.fault("truncated"):
            found = as_json(None, 200, bytes(found.body)[: len(found.body) // 2])
        return instead or found

    def planned(self, call: Call) -> Response | None:
        """What a fault answers in place of the API."""
        if fault := call.fault("answer"):
            body = fault.more.get("body", "")
            raw = body.encode() if isinstance(body, str) else orjson.dumps(body)
            kind = "text/html" if isinstance(body, str) else "application/json"
            return Response(raw, fault.more.get("status", 500), media_type=kind)
        if call.fault("deadlock"):
            text = "DB Error: unknown error [nativecode=1213 ** Deadlock found when trying to get lock]"
            return self.refusal(Trouble(text), Who(permissions=None))
        if call.fault("server_error"):
            return page(500, "Internal Server Error")
        if call.fault("bad_gateway"):
            return page(502, "Bad Gateway")
        if call.fault("login_page"):
            return Response(LOGIN, media_type="text/html")
        if call.fault("revoke"):
            return unauthorized("Invalid credential")
        return maintenance() if call.fault("maintenance") else None

    def work(self, call: Call) -> Response:
        if not (call.is_v3 or call.path == "civicrm/ajax/api4" or call.path.startswith("civicrm/ajax/api4/")):
            return page(404, "Not Found")
        who = self.who(call)
        if self.settings.maintenance:
            return maintenance()
        stop = call.fault("stop_after")
        self.actions.left = stop.more.get("records", 1) if stop else self.settings.most_records or None
        self.actions.ends_with = Trouble("DB Error: unknown error") if stop else OutOfTime()
        if call.is_v3:
            return self.work_v3(call, who)
        if call.path == "civicrm/ajax/api4":
            return self.work_on_all(call, who)
        entity, _, action = call.path.removeprefix("civicrm/ajax/api4/").partition("/")
        if call.method == "GET" and not is_reading(action):
            return self.refusal(Trouble(NOT_BY_GET, status=405, code=405), Who(permissions=None))
        try:
            params = parsed(call.sent.get("params")) or {}
            return as_json(self.one(entity, action, params, parsed_index(call.sent.get("index")), who))
        except Trouble as trouble:
            return self.refusal(trouble, who)

    def one(self, entity: str, action: str, params: Json, index: Any, who: Who) -> Json:
        if not isinstance(params, dict):
            raise Trouble("Invalid params")
        try:
            result: Result = self.actions.call(entity, action, params, who)
        except SENSELESS as error:
            raise Trouble(f"This makes no sense to the sandbox: {error!r}") from error
        rows = result.values
        found: Json = {"values": indexed(rows, index), "entity": entity, "action": action}
        found |= {"debug": None, "version": 4}
        found["count"] = len(rows) if result.count is None else result.count
        found["countFetched"] = len(rows) if result.fetched is None else result.fetched
        return found | ({} if result.matched is None else {"countMatched": result.matched})

    def work_on_all(self, call: Call, who: Who) -> Response:
        """Several calls, one after the other; what one has done stays when the next is refused."""
        calls = parsed(call.sent.get("calls")) or {}
        items = list(calls.items()) if isinstance(calls, dict) else list(enumerate(calls))
        if call.method == "GET" and not all(is_reading(item[1]) for _, item in items):
            return self.refusal(Trouble(NOT_BY_GET, status=405, code=405), Who(permissions=None))
        found: dict[Any, Json] = {}
        statuses = []
        for name, item in items:
            entity, action, params, index = (*item, {}, None)[:4] if len(item) == 2 else (*item, None)[:4]
            try:
                found[name] = self.one(entity, action, params or {}, index, who)
                statuses.append(200)
            except Trouble as trouble:
                found[name] = self.told(trouble, who)
                statuses.append(trouble.status)
        status = 200 if 200 in statuses or not statuses else self.status(statuses[0])
        return as_json(found if isinstance(calls, dict) else list(found.values()), status)

    def work_v3(self, call: Call, who: Who) -> Response:
        params = parsed(call.sent.get("json"))
        if not isinstance(params, dict):
            known = ("entity", "action", "json", "key", "api_key", "_authx", "_authxSiteKey", "q", "page")
            params = {name: value for name, value in call.sent.items() if name not in known}
        entity, action = call.sent.get("entity", ""), call.sent.get("action", "")
        if call.method == "GET" and not is_reading(action):
            text = "SECURITY: All requests that modify the database must be http POST, not GET."
            return as_json({"is_error": 1, "error_message": text})
        found = self.version3.call(entity, action, params, who)
        return as_json(found["result"] if set(found) == {"result"} else found)

    # -- refusals

    def status(self, status: int) -> int:
        return 200 if self.settings.error_status == "always_200" else status

    def told(self, trouble: Trouble, who: Who) -> Json:
        number = "-".join(secrets.token_hex(2) for _ in range(3))
        found: Json = {"error_id": number} if self.settings.error_id else {}
        if self.settings.hide_errors or not who.may("view debug output"):
            text = f"Sorry an error occurred and your request was not completed. (Error ID: {number})"
            return found | {"error_code": "1", "error_message": text, "status": trouble.status}
        code = trouble.code if isinstance(trouble.code, int) else 0
        return found | {"error_code": code, "error_message": trouble.message, "status": trouble.status}

    def refusal(self, trouble: Trouble, who: Who) -> Response:
        if trouble.status in (400, 405):
            told = {"error_code": trouble.status, "error_message": trouble.message}
            return as_json(told, self.status(trouble.status))
        return as_json(self.told(trouble, who), self.status(trouble.status))

    def who(self, call: Call) -> Who:
        """Raises Refused for a credential that is not good."""
        sent, headers = call.sent, call.headers
        site_key = headers.get("x-civi-key") or sent.get("_authxSiteKey")
        found = next(
            (
                (flow, credential)
                for flow, credential in (
                    ("xheader", headers.get("x-civi-auth")),
                    ("header", headers.get("authorization") if self.settings.header_flow else None),
                    ("param", sent.get("_authx")),
                )
                if credential
            ),
            None,
        )
        if found is None and call.is_v3 and sent.get("api_key"):
            found, site_key = ("legacyrest", f"Bearer {sent['api_key']}"), sent.get("key")
        is_ajax = headers.get("x-requested-with") == "XMLHttpRequest"
        if not is_ajax and (found is None or found[0] == "header"):
            raise Refused(self.refusal(Trouble(ALERT, status=400, code=400), Who()))
        if found is None:
            return Who()
        flow, credential = found
        kind, _, word = credential.partition(" ")
        if kind.lower() == "basic":
            text = f'Authentication type "pass" with flow "{flow}" is not allowed for this principal.'
            raise Refused(unauthorized(text if is_base64(word) else "Invalid credential"))
        user = self.keys.get(word) if kind.lower() == "bearer" else None
        if user is None:
            raise Refused(unauthorized("Invalid credential"))
        if user.get("is_blocked"):
            raise Refused(unauthorized("Cannot login. User is blocked."))
        permissions = user.get("permissions")
        who = Who(user.get("contact"), None if permissions is None else frozenset(permissions))
        if site_key != self.settings.site_key and not who.may("authenticate with api key"):
            raise Refused(unauthorized("Login not permitted. Must satisfy guard (site_key, perm)."))
        return who

    # -- what tests and people steer it with

    def tell_about(self, request: Request, wish: Json) -> Json:
        self.rows.refresh()
        return {
            "rows": {name: len(rows) for name, rows in self.rows.tables.items()},
            "local_time": self.rows.now(),
            "settings": asdict(self.settings),
            "faults": {name: told for name, (told, _) in FAULTS.items()},
        }

    def tell_requests(self, request: Request, wish: Json) -> Json:
        """Every call; `sums`: calls and records written by entity and action."""
        found = list(self.log)
        if request.method == "DELETE":
            self.log.clear()
        sums: dict[str, Counter[str]] = {}
        for one in found:
            name = f"{one.get('entity')}.{one.get('action')}"
            sums.setdefault(name, Counter()).update(calls=1, written=one.get("written", 0))
        return {"count": len(found), "sums": sums, "requests": found}

    def set_settings(self, request: Request, wish: Json) -> Json:
        """`keys` by name: {"permissions": [...] or null for all}, and {"is_blocked": true}."""
        if request.method == "POST":
            keys = wish.pop("keys", self.keys)
            self.settings.set(wish)
            self.keys = keys
        return {**asdict(self.settings), "keys": len(self.keys)}

    def tell_rows(self, request: Request, wish: Json) -> Json:
        """Every row of an entity, those in the trash too."""
        self.rows.refresh()
        return {"rows": self.rows.all(request.path_params["entity"])}

    def make_changes(self, request: Request, wish: Any) -> Json:
        self.store.refresh()
        self.rows.refresh()
        return {"changed": self.change(wish if isinstance(wish, list) else [wish])}

    def change(self, changes: list[Json]) -> list[Any]:
        """What staff do: create, update, delete, purge (past the trash), merge `from` a contact `to` one.

        Raises KeyError or ValueError with a sentence. Gives the id of what was made.
        """
        return [self._change(dict(change)) for change in changes]

    def _change(self, change: Json) -> Any:
        do, self.actions.left = change.pop("do", None), None
        staff = Who(permissions=None)
        if do == "merge":
            self.actions.people.merge(change["from"], change["to"])
            return change["to"]
        if do not in ("create", "update", "delete", "purge"):
            raise ValueError(f"no such change: {do}")
        entity = change["entity"]
        if entity not in ENTITIES:
            raise KeyError(f"no such entity: {entity}")
        where = [["id", "=", change.get("id")]]
        try:
            if do == "create":
                return self.actions.write(entity, None, change["values"], staff)["id"]
            row = self.rows.tables[entity][change["id"]]
            if do == "update":
                return self.actions.write(entity, row, change["values"], staff)["id"]
            if do == "purge":
                self.actions.remove(entity, row, use_trash=False)
            else:
                self.actions.call(entity, "delete", {"where": where}, staff)
        except Trouble as trouble:
            raise ValueError(trouble.message) from trouble
        return change["id"]


def route_of(path: str, sent: dict[str, str]) -> str:
    """The path of the API in the form of any CMS: clean, `?q=` of WordPress, `&task=` of Joomla."""
    if sent.get("page") == "CiviCRM" and "q" in sent:
        path = sent.pop("q")
    elif sent.get("option") == "com_civicrm" and "task" in sent:
        path = sent.pop("task")
    return path.strip("/")


def is_reading(action: str) -> bool:
    return action.startswith("get") or action == "autocomplete"


def parsed(text: str | None) -> Any:
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None


def parsed_index(text: str | None) -> Any:
    found = parsed(text)
    return text if found is None and text else found


def is_base64(word: str) -> bool:
    try:
        return b":" in base64.b64decode(word, validate=True)
    except ValueError:
        return False


def as_json(found: Any, status: int = 200, raw: bytes | None = None) -> Response:
    body = orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS) if raw is None else raw
    return Response(body, status, media_type="application/json")


def page(status: int, text: str) -> Response:
    return Response(GATEWAY % (status, text.encode(), status, text.encode()), status, media_type="text/html")


def unauthorized(reason: str) -> Response:
    return Response(f"HTTP 401 {reason}", 401, media_type="text/plain")


def maintenance() -> Response:
    return as_json({"status_code": 503, "status_message": "Temporarily unavailable for maintenance."}, 503)


async def whole(receive: Receive) -> bytes:
    body = b""
    while True:
        message: Message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
