"""Eventbrite's API v3 as its clients meet it: paths, filters, expansions, pages and error texts.

Bodies leave as they are stored: a page is put together from bytes, not built and serialised again.
"""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.store import EXPANSIONS, Json, Row, Store

PAGE = 50
MOST_PER_PAGE = 200
DEPTH = 4  # levels of nested expansions
CHANGED_SINCE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
ACTIONS = (
    "event.created",
    "event.updated",
    "event.published",
    "event.unpublished",
    "order.placed",
    "order.updated",
    "order.refunded",
    "attendee.updated",
    "attendee.checked_in",
    "attendee.checked_out",
    "ticket_class.created",
    "ticket_class.updated",
    "ticket_class.deleted",
    "venue.updated",
    "organizer.updated",
)
DEFAULT_ACTIONS = ["order.placed", "event.published", "event.unpublished"]
EVENT_STATUSES = ("draft", "live", "started", "ended", "completed", "canceled")
ACTIVE_ORDERS = ("placed", "pending", "started", "unpaid")
REFUND_STATUSES = ("completed", "pending", "outside_policy", "disputed", "denied")
SWITCHES = ("OMIT_DESCRIPTION_FROM_EVENT_CONTAINER",)
INLINE = {"attendees": ("answers",), "events": ("logo",)}  # there without being asked for
MANY = ("merchandise", "refund_requests", "answers", "survey", "survey_responses", "music_properties")
SINGULAR = {
    "events": "event",
    "orders": "order",
    "attendees": "attendee",
    "venues": "venue",
    "ticket_classes": "ticket class",
    "webhooks": "webhook",
    "organizations": "organization",
    "questions": "question",
}
ROUTES = {
    "events": "/events/{id}/",
    "venues": "/venues/{id}/",
    "orders": "/orders/{id}/",
    "webhooks": "/webhooks/{id}/",
    "attendees": "/events/{event}/attendees/{id}/",
    "ticket_classes": "/events/{event}/ticket_classes/{id}/",
    "questions": "/events/{event}/questions/{id}/",
    "canned_questions": "/events/{event}/canned_questions/{id}/",
}
Tree = dict[str, Any]


class ApiError(Exception):
    """An answer that is an error: HTTP status, Eventbrite's constant, its sentence."""

    def __init__(self, status: int, error: str, description: str, detail: Json | None = None) -> None:
        super().__init__(description)
        self.status, self.error, self.description, self.detail = status, error, description, detail

    def answer(self) -> Response:
        body: Json = {
            "status_code": self.status,
            "error": self.error,
            "error_description": self.description,
        }
        if self.detail is not None:
            body["error_detail"] = self.detail
        return Response(orjson.dumps(body), self.status, media_type="application/json")


def wrong_argument(name: str, what: str = "INVALID") -> ApiError:
    return ApiError(
        400,
        "ARGUMENTS_ERROR",
        f"There are errors with your arguments: {name} - {what}",
        {"ARGUMENTS_ERROR": {name: [what]}},
    )


def no_path() -> ApiError:
    return ApiError(404, "NOT_FOUND", "The path you requested does not exist.")


def not_yours() -> ApiError:
    return ApiError(403, "NOT_AUTHORIZED", "You do not have access to the resource you requested.")


def continuation_of(page: int) -> str:
    return base64.urlsafe_b64encode(f'{{"page": {page}}}'.encode()).decode().rstrip("=")


def page_of(continuation: str) -> int:
    """The page a token stands for. Raises ApiError for what is not a token."""
    try:
        padded = continuation + "=" * (-len(continuation) % 4)
        page = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))["page"]
        if type(page) is int and page > 0:
            return page
    except (binascii.Error, ValueError, KeyError, TypeError):
        pass
    raise ApiError(400, "BAD_CONTINUATION_TOKEN", "The continuation token you supplied is invalid.")


def expansion_tree(text: str) -> Tree:
    """`venue,event.venue` as nested names, to the depth the API goes."""
    tree: Tree = {}
    for path in filter(None, (part.strip() for part in text.split(","))):
        level = tree
        for name in path.split(".")[:DEPTH]:
            level = level.setdefault(name, {})
    return tree


class Eventbrite:
    """Answers for one store. `now` gives the time; `page_size` replaces the default 50 when set."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self.store = store
        self.now = now
        self.page_size = PAGE
        organization = "/organizations/{organization_id}"
        event = "/events/{event_id}"
        paths: list[tuple[str, str, Callable[[Request], Any]]] = [
            ("GET", "/users/me/", self.me),
            ("GET", "/users/me/organizations/", self.organizations),
            ("GET", f"{organization}/events/", self.organization_events),
            ("GET", f"{organization}/venues/", self.organization_venues),
            ("GET", f"{organization}/orders/", self.organization_orders),
            ("GET", f"{organization}/attendees/", self.organization_attendees),
            ("GET", f"{organization}/discounts/", self.discounts),
            ("GET POST", f"{organization}/webhooks/", self.organization_webhooks),
            ("GET POST", "/webhooks/", self.legacy_webhooks),
            ("GET DELETE", "/webhooks/{webhook_id}/", self.webhook),
            ("GET", "/events/search/", self.removed),
            ("GET", f"{event}/", self.event),
            ("GET", f"{event}/description/", self.description),
            ("GET", f"{event}/orders/", self.event_orders),
            ("GET", f"{event}/attendees/", self.event_attendees),
            ("GET", f"{event}/attendees/{{id}}/", self.attendee),
            ("GET", f"{event}/ticket_classes/", self.ticket_classes),
            ("GET", f"{event}/ticket_classes/{{id}}/", self.ticket_class),
            ("GET", f"{event}/questions/", self.questions),
            ("GET", f"{event}/questions/{{id}}/", self.question),
            ("GET", f"{event}/canned_questions/", self.canned_questions),
            ("GET", "/series/{series_id}/", self.series),
            ("GET", "/series/{series_id}/events/", self.series_events),
            ("GET", "/venues/{venue_id}/", self.venue),
            ("GET", "/venues/{venue_id}/events/", self.venue_events),
            ("GET", "/orders/{order_id}/", self.order),
            ("GET", "/orders/{order_id}/attendees/", self.order_attendees),
            ("GET", "/orders/{order_id}/attendees/{id}/", self.order_attendee),
        ]
        self.app = Starlette(
            routes=[
                Route(f"/v3{path}", handler(endpoint), methods=methods.split())
                for methods, path, endpoint in paths
            ],
            exception_handlers={HTTPException: refused, ApiError: refused},
        )
        self.app.router.redirect_slashes = False

    # -- people and organizations

    def me(self, request: Request) -> Response:
        private_only(request)
        numbers = self.store.numbers("user")
        if not numbers:
            raise no_path()
        return as_json(self.store.rows(numbers[:1])[0].body)

    def organizations(self, request: Request) -> Response:
        private_only(request)
        # Seen live: this listing's last page carries a continuation all the same.
        return self.listing(request, "organizations", self.store.numbers("organizations"), last="present")

    # -- events

    def organization_events(self, request: Request) -> Response:
        organization = self.member(request)
        tell = request.query_params.get
        statuses = tell("status")
        wanted = None if statuses is None else {word.strip() for word in statuses.lower().split(",")}
        if wanted is not None and not wanted <= {*EVENT_STATUSES, "all"}:
            raise wrong_argument("status")
        now = stamp(self.now())

        def is_wanted(event: Json) -> bool:
            if wanted is None:
                return event.get("status") in ("live", "started") and ends(event) >= now
            return "all" in wanted or event.get("status") in wanted

        events = [e for e in self.events("organization_id = ?", organization) if is_wanted(e[1])]
        events = self.filtered(request, events)
        series = tell("series_filter")
        if series is not None:
            kinds = set(series.split(","))
            if not kinds <= {"children", "parents", "nonseries", "allseries"}:
                raise wrong_argument("series_filter")
        elif is_true(tell("show_series_parent")):
            kinds = {"parents", "nonseries"}
        else:
            kinds = {"children", "nonseries"}
        events = [
            e
            for e in events
            if {place_in_series(e[1])} & kinds or (kinds >= {"allseries"} and e[1].get("is_series"))
        ]
        return self.event_listing(request, events)

    def filtered(self, request: Request, events: list[tuple[int, Json]]) -> list[tuple[int, Json]]:
        tell = request.query_params.get
        time_filter = tell("time_filter", "all")
        if time_filter not in ("all", "past", "current_future"):
            raise wrong_argument("time_filter")
        now = stamp(self.now())
        if time_filter != "all":
            events = [e for e in events if (ends(e[1]) < now) == (time_filter == "past")]
        if (name := tell("name_filter")) is not None:
            events = [e for e in events if name.lower() in str((e[1].get("name") or {}).get("text")).lower()]
        for argument, key in (
            ("currency_filter", "currency"),
            ("venue_filter", "venue_id"),
            ("organizer_filter", "organizer_id"),
            ("event_ids", "id"),
            ("inventory_type_filter", "inventory_type"),
        ):
            if (text := tell(argument)) is not None:
                allowed = set(text.split(","))
                events = [e for e in events if e[1].get(key) in allowed]
        if (text := tell("event_ids_to_exclude")) is not None:
            refused_ids = set(text.split(","))
            events = [e for e in events if e[1]["id"] not in refused_ids]
        if (text := tell("start_date.range_start")) is not None:
            events = [e for e in events if starts(e[1]) >= text]
        if (text := tell("start_date.range_end")) is not None:
            events = [e for e in events if starts(e[1]) <= text]
        return events

    def event_listing(self, request: Request, events: list[tuple[int, Json]]) -> Response:
        by = {
            "start": starts,
            "created": lambda event: str(event.get("created")),
            "name": lambda event: str((event.get("name") or {}).get("text")).lower(),
        }
        what, _, direction = request.query_params.get("order_by", "start_asc").rpartition("_")
        if what not in by or direction not in ("asc", "desc"):
            raise wrong_argument("order_by")
        key = by[what]
        ordered = sorted(events, key=lambda e: key(e[1]), reverse=direction == "desc")
        return self.listing(request, "events", [number for number, _ in ordered], is_sizable=True)

    def events(self, where: str, *values: str) -> list[tuple[int, Json]]:
        """Row numbers and objects, for filters that look inside."""

        def read() -> list[tuple[int, Json]]:
            numbers = self.store.numbers("events", where, *values)
            found = []
            for begin in range(0, len(numbers), 500):
                part = numbers[begin : begin + 500]
                found += [(number, row.item) for number, row in zip(part, self.store.rows(part), strict=True)]
            return found

        events: list[tuple[int, Json]] = self.store.view(f"events {where} {values}", read)
        return events

    def event(self, request: Request) -> Response:
        return self.one(request, self.found("events", request.path_params["event_id"]))

    def description(self, request: Request) -> Response:
        event = self.found("events", request.path_params["event_id"]).item
        html = (event.get("description") or {}).get("html") or ""
        return as_json(orjson.dumps({"description": f"<div>{html}</div>"}))

    def series(self, request: Request) -> Response:
        return self.one(request, self.series_parent(request))

    def series_events(self, request: Request) -> Response:
        parent = self.series_parent(request)
        return self.event_listing(request, self.filtered(request, self.events("series_id = ?", parent.id)))

    def series_parent(self, request: Request) -> Row:
        row = self.store.row("events", request.path_params["series_id"])
        if row is None or not row.item.get("is_series_parent"):
            raise ApiError(404, "NOT_FOUND", "The series you requested does not exist.")
        return row

    def removed(self, request: Request) -> Response:
        raise no_path()

    # -- venues, ticket classes, questions, discounts

    def organization_venues(self, request: Request) -> Response:
        return self.listing(
            request, "venues", self.store.numbers("venues", "organization_id = ?", self.member(request))
        )

    def venue(self, request: Request) -> Response:
        return self.one(request, self.found("venues", request.path_params["venue_id"]))

    def venue_events(self, request: Request) -> Response:
        venue = self.found("venues", request.path_params["venue_id"])
        return self.event_listing(request, self.filtered(request, self.events("venue_id = ?", venue.id)))

    def ticket_classes(self, request: Request) -> Response:
        event = self.found("events", request.path_params["event_id"])
        # What the API does without a category is not known; the strictest answer finds careless clients.
        category = request.query_params.get("category", "admission")
        if category not in ("all", "admission", "add_on", "donation"):
            raise wrong_argument("category")
        where, values = "event_id = ?", [event.id]
        if category != "all":
            where, values = "event_id = ? and state = ?", [event.id, category]
        numbers = self.store.numbers("ticket_classes", where, *values)
        pos = request.query_params.get("pos")
        if pos is not None:
            channel = {"online": "online", "at_the_door": "atd"}.get(pos)
            if channel is None:
                raise wrong_argument("pos")
            rows = zip(numbers, self.store.rows(numbers), strict=True)
            numbers = [number for number, row in rows if channel in (row.item.get("sales_channels") or ())]
        return self.listing(request, "ticket_classes", numbers)

    def ticket_class(self, request: Request) -> Response:
        return self.one(request, self.found_in_event(request, "ticket_classes"))

    def questions(self, request: Request) -> Response:
        event = self.managed_event(request)
        return self.listing(request, "questions", self.store.numbers("questions", "event_id = ?", event.id))

    def question(self, request: Request) -> Response:
        event = self.managed_event(request)
        return self.one(request, self.found("questions", f"{event.id}/{request.path_params['id']}"))

    def canned_questions(self, request: Request) -> Response:
        event = self.managed_event(request)
        numbers = self.store.numbers("canned_questions", "event_id = ?", event.id)
        return self.listing(request, "questions", numbers)

    def discounts(self, request: Request) -> Response:
        organization = self.member(request)
        tell = request.query_params.get
        scope = tell("scope")
        if scope is None:
            raise wrong_argument("scope", "MISSING")
        if scope not in ("event", "multi_events", "user"):
            raise wrong_argument("scope")
        where, values = "organization_id = ? and state = ?", [organization, scope]
        if scope == "event":
            if tell("event_id") is None:
                raise wrong_argument("event_id", "MISSING")
            where, values = f"{where} and event_id = ?", [*values, str(tell("event_id"))]
        numbers = self.store.numbers("discounts", where, *values)
        if tell("code") or tell("code_filter") or tell("type"):
            kept = []
            for number, row in zip(numbers, self.store.rows(numbers), strict=True):
                item = row.item
                code = str(item.get("code") or "")
                if tell("code") and code.lower() != str(tell("code")).lower():
                    continue
                if tell("code_filter") and str(tell("code_filter")).lower() not in code.lower():
                    continue
                if tell("type") and item.get("type") != tell("type"):
                    continue
                kept.append(number)
            numbers = kept
        return self.listing(request, "discounts", numbers, is_sizable=True)

    # -- orders and attendees

    def organization_orders(self, request: Request) -> Response:
        where, values = self.order_filter(request, "organization_id = ?", self.member(request))
        numbers = self.store.numbers("orders", where, *values)
        time_filter = request.query_params.get("time_filter", "all")
        if time_filter not in ("all", "past", "current_future"):
            raise wrong_argument("time_filter")
        if time_filter != "all":
            now = stamp(self.now())
            events = self.events("organization_id = ?", self.member(request))
            wanted = {e["id"] for _, e in events if (ends(e) < now) == (time_filter == "past")}
            rows = zip(numbers, self.every_row(numbers), strict=True)
            numbers = [number for number, row in rows if row.event_id in wanted]
        return self.listing(request, "orders", self.by_email(request, numbers), is_lean=True)

    def event_orders(self, request: Request) -> Response:
        event = self.managed_event(request)
        where, values = self.order_filter(request, "event_id = ?", event.id)
        where, values = after_last_item(request, where, values)
        numbers = self.by_email(request, self.store.numbers("orders", where, *values))
        text = request.query_params.get("refund_request_statuses")
        if text is not None:
            wanted = set(text.split(","))
            if not wanted <= set(REFUND_STATUSES):
                raise wrong_argument("refund_request_statuses")
            rows = zip(numbers, self.every_row(numbers), strict=True)
            numbers = [number for number, row in rows if wanted & refund_statuses(row)]
        return self.listing(request, "orders", numbers)

    def order_filter(self, request: Request, where: str, value: str) -> tuple[str, list[str]]:
        where, values = changed_since(request, where, [value])
        status = request.query_params.get("status")
        active = ", ".join(f"'{word}'" for word in ACTIVE_ORDERS)
        # `both` is documented and refused all the same.
        narrower = {
            None: "",
            "all": "",
            "active": f" and state in ({active})",
            "inactive": f" and state not in ({active})",
            "all_not_deleted": " and state <> 'deleted'",
        }
        if status not in narrower:
            raise wrong_argument("status")
        return where + narrower[status], values

    def by_email(self, request: Request, numbers: list[int]) -> list[int]:
        only, without = (request.query_params.get(name) for name in ("only_emails", "exclude_emails"))
        if only is None and without is None:
            return numbers
        wanted, unwanted = (
            None if text is None else set(text.lower().split(",")) for text in (only, without)
        )
        kept = []
        for number, row in zip(numbers, self.every_row(numbers), strict=True):
            email = str(row.item.get("email")).lower()
            if (wanted is None or email in wanted) and (unwanted is None or email not in unwanted):
                kept.append(number)
        return kept

    def every_row(self, numbers: list[int]) -> list[Row]:
        return [row for at in range(0, len(numbers), 500) for row in self.store.rows(numbers[at : at + 500])]

    def order(self, request: Request) -> Response:
        private_only(request)
        row = self.found("orders", request.path_params["order_id"])
        if str(row.item.get("status")).lower() == "abandoned":
            raise ApiError(400, "ORDER_EXPIRED", "The order you requested has expired.")
        return self.one(request, row)

    def organization_attendees(self, request: Request) -> Response:
        where, values = changed_since(request, "organization_id = ?", [self.member(request)])
        where, values = attendee_status(request, where, values, ("attending", "not_attending"))
        return self.listing(request, "attendees", self.store.numbers("attendees", where, *values))

    def event_attendees(self, request: Request) -> Response:
        where, values = changed_since(request, "event_id = ?", [self.managed_event(request).id])
        where, values = attendee_status(request, where, values, ("attending", "not_attending", "unpaid"))
        where, values = after_last_item(request, where, values)
        text = request.query_params.get("attendee_ids")
        if text is not None:
            ids = text.split(",")
            where, values = f"{where} and id in ({','.join('?' * len(ids))})", [*values, *ids]
        return self.listing(request, "attendees", self.store.numbers("attendees", where, *values))

    def attendee(self, request: Request) -> Response:
        private_only(request)
        return self.one(request, self.found_in_event(request, "attendees"))

    def order_attendees(self, request: Request) -> Response:
        private_only(request)
        order = self.found("orders", request.path_params["order_id"])
        numbers = self.store.numbers("attendees", "order_id = ?", order.id)
        return self.listing(request, "attendees", numbers, route="/orders/{order}/attendees/{id}/")

    def order_attendee(self, request: Request) -> Response:
        private_only(request)
        row = self.found("attendees", request.path_params["id"])
        if row.order_id != request.path_params["order_id"]:
            raise missing("attendees")
        return self.one(request, row, route="/orders/{order}/attendees/{id}/")

    # -- webhooks

    async def organization_webhooks(self, request: Request) -> Response:
        organization = self.member(request)
        if request.method == "GET":
            return self.listing(
                request, "webhooks", self.store.numbers("webhooks", "organization_id = ?", organization)
            )
        try:
            wanted = orjson.loads(await request.body())
        except ValueError:
            wanted = None
        if not isinstance(wanted, dict):
            raise ApiError(400, "INVALID_BODY", "The body of your request is not a JSON object.")
        address = wanted.get("endpoint_url")
        if not address:
            raise wrong_argument("endpoint_url", "MISSING")
        if not re.match(r"https?://", str(address)):
            raise wrong_argument("endpoint_url")
        actions = [word.strip() for word in str(wanted.get("actions") or "").split(",") if word.strip()]
        if not set(actions) <= set(ACTIONS):
            raise wrong_argument("actions")
        identity = str(self.store.recall("next_webhook", 2000001))
        self.store.remember("next_webhook", int(identity) + 1)
        users = self.store.rows(self.store.numbers("user")[:1])
        hook = {
            "id": identity,
            "endpoint_url": address,
            "actions": actions or DEFAULT_ACTIONS,
            "event_id": wanted.get("event_id") or None,
            "user_id": users[0].id if users else None,
            "created": stamp(self.now()),
        }
        self.store.put({"webhooks": [{**hook, "organization_id": organization}]})
        answer = self.one(request, self.found("webhooks", identity))
        answer.headers["Eventbrite-API-Waypoint-Token"] = continuation_of(int(identity))
        return answer

    def webhook(self, request: Request) -> Response:
        private_only(request)
        row = self.found("webhooks", request.path_params["webhook_id"])
        if request.method == "DELETE":
            self.store.delete({"webhooks": [row.id]})
            return as_json(orjson.dumps({"id": row.id, "success": True}))
        return self.one(request, row)

    def legacy_webhooks(self, request: Request) -> Response:
        raise ApiError(
            403, "NOT_AUTHORIZED", "You are not authorized to use legacy user endpoints. Use organizations."
        )

    # -- who may see what

    def member(self, request: Request) -> str:
        """The organization of the path. Raises ApiError when it is not the token's."""
        organization: str = request.path_params["organization_id"]
        private_only(request)
        if self.store.row("organizations", organization) is None:
            raise not_yours()
        return organization

    def managed_event(self, request: Request) -> Row:
        row = self.found("events", request.path_params["event_id"])
        private_only(request)
        return row

    def found(self, kind: str, identity: str) -> Row:
        row = self.store.row(kind, identity)
        if row is None:
            raise missing(kind)
        return row

    def found_in_event(self, request: Request, kind: str) -> Row:
        event = self.found("events", request.path_params["event_id"])
        row = self.found(kind, request.path_params["id"])
        if row.event_id != event.id:
            raise missing(kind)
        return row

    # -- putting answers together

    def one(self, request: Request, row: Row, route: str | None = None) -> Response:
        tree = expansion_tree(request.query_params.get("expand", ""))
        return as_json(Writer(self.store, request).text(row, tree, route=route))

    def listing(
        self,
        request: Request,
        key: str,
        numbers: Sequence[int],
        *,
        is_sizable: bool = False,
        is_lean: bool = False,
        last: str = "null",
        route: str | None = None,
    ) -> Response:
        """One page. `last`: what `continuation` is after the end: present, absent or null."""
        query = request.query_params
        twist: Json = request.scope.get("sandbox.twist", {})
        size = self.page_size
        if is_sizable and "page_size" in query:
            text = query["page_size"]
            if not text.isdigit() or not 1 <= int(text) <= MOST_PER_PAGE:
                raise wrong_argument("page_size")
            size = int(text)
        count = len(numbers)
        pages = max(1, -(-count // size))
        if "continuation" in query:
            page = page_of(query["continuation"])
        elif "page" in query:
            text = query["page"]
            if not text.isdigit() or not 1 <= int(text) <= pages:
                raise ApiError(400, "BAD_PAGE", f"Page number {text} is out of range.")
            page = int(text)
        else:
            page = 1
        begin, end = (page - 1) * size, page * size
        if lengths := twist.get("page_rows"):
            rounds, rest = divmod(page - 1, len(lengths))
            begin = rounds * sum(lengths) + sum(lengths[:rest])
            end = begin + lengths[rest]
        if page > 1 and twist.get("shift"):
            begin, end = max(0, begin + twist["shift"]), end + twist["shift"]
        has_more = end < count
        pagination: Json = {
            "object_count": count,
            "page_number": page,
            "page_size": size,
            "page_count": pages,
            "has_more_items": has_more,
        }
        last = twist.get("last_continuation", last)
        if has_more or last == "present":
            pagination["continuation"] = continuation_of(page + 1)
        elif last == "null":
            pagination["continuation"] = None
        for name in twist.get("omit", ()):
            pagination.pop(name, None)
        tree = expansion_tree(query.get("expand", ""))
        writer = Writer(self.store, request)
        texts = [
            writer.text(row, tree, is_lean=is_lean, route=route)
            for row in self.store.rows(numbers[begin:end])
        ]
        return as_json(
            b'{"pagination":'
            + orjson.dumps(pagination)
            + b',"'
            + key.encode()
            + b'":['
            + b",".join(texts)
            + b"]}"
        )


class Writer:
    """Puts the text of one object together: its own address, and what the client asked to have expanded."""

    def __init__(self, store: Store, request: Request) -> None:
        self.store = store
        self.base = f"{request.url.scheme}://{request.headers.get('host', 'localhost')}/v3"
        self.is_public = request.scope.get("sandbox.token") == "public"
        self.is_brief = request.scope.get("sandbox.switches", ()) == SWITCHES
        self._kept: dict[tuple[str, str | None], Row | None] = {}

    def text(self, row: Row, tree: Tree, *, is_lean: bool = False, route: str | None = None) -> bytes:
        body = row.lean if is_lean and row.lean is not None else row.body
        if row.kind == "events" and (self.is_public or self.is_brief):
            item = row.item
            if self.is_public:
                item.pop("capacity", None)
            if self.is_brief:
                item["description"] = None
            body = orjson.dumps(item)
        parts = [body[:-1]]
        path = route or ROUTES.get(row.kind)
        if path is not None:
            identity = row.id.rpartition("/")[2]
            address = path.replace("{id}", identity).replace("{event}", str(row.event_id))
            address = address.replace("{order}", str(row.order_id))
            parts.append(f',"resource_uri":"{self.base}{address}"'.encode())
        if tree:
            names = EXPANSIONS.get(row.kind, ())
            extras: Json | None = None
            for name, below in tree.items():
                if name not in names or name in INLINE.get(row.kind, ()):
                    continue  # unknown names are passed over in silence
                value = self.related(row, name, below)
                if value is None:
                    if extras is None:
                        extras = orjson.loads(row.extras) if row.extras else {}
                    value = orjson.dumps(extras.get(name, [] if name in MANY else None))
                if value:
                    parts.append(b',"' + name.encode() + b'":' + value)
        parts.append(b"}")
        return b"".join(parts)

    def related(self, row: Row, name: str, below: Tree) -> bytes | None:
        """An object kept elsewhere; empty when the key must stay away; None when it is no such name."""
        if name == "venue" and row.kind == "events":
            if row.venue_id is None and row.item.get("online_event"):
                return b""
            return self.single("venues", row.venue_id, below)
        if name == "event":
            return self.single("events", row.event_id, below)
        if name == "order":
            return self.single("orders", row.order_id, below)
        if name == "attendees":
            return self.several("attendees", "order_id = ?", row.id, below)
        if name == "ticket_classes":
            return self.several("ticket_classes", "event_id = ?", row.id, below)
        return None

    def single(self, kind: str, identity: str | None, below: Tree) -> bytes:
        key = (kind, identity)
        if key not in self._kept:
            self._kept[key] = self.store.row(kind, identity)
        row = self._kept[key]
        return b"null" if row is None else self.text(row, below)

    def several(self, kind: str, where: str, value: str, below: Tree) -> bytes:
        rows = self.store.rows(self.store.read_numbers(kind, where, value))
        return b"[" + b",".join(self.text(row, below) for row in rows) + b"]"


def handler(endpoint: Callable[[Request], Any]) -> Callable[[Request], Awaitable[Response]]:
    """Endpoints run on the server's own loop: they share one connection, and a thread would cost more."""

    async def answer(request: Request) -> Response:
        found = endpoint(request)
        response: Response = await found if isinstance(found, Awaitable) else found
        return response

    return answer


async def refused(request: Request, error: Exception) -> Response:
    if isinstance(error, ApiError):
        return error.answer()
    if isinstance(error, HTTPException) and error.status_code == 405:
        return ApiError(
            405, "METHOD_NOT_ALLOWED", "The method is not allowed for the requested path."
        ).answer()
    return no_path().answer()


def as_json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def missing(kind: str) -> ApiError:
    return ApiError(404, "NOT_FOUND", f"The {SINGULAR.get(kind, kind)} you requested does not exist.")


def private_only(request: Request) -> None:
    if request.scope.get("sandbox.token") == "public":
        raise not_yours()


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def starts(event: Json) -> str:
    return str((event.get("start") or {}).get("utc") or "")


def ends(event: Json) -> str:
    return str((event.get("end") or {}).get("utc") or "")


def is_true(text: str | None) -> bool:
    return str(text).lower() in ("true", "1", "yes", "on")


def place_in_series(event: Json) -> str:
    if event.get("is_series_parent"):
        return "parents"
    return "children" if event.get("series_id") else "nonseries"


def refund_statuses(row: Row) -> set[str]:
    requests = (orjson.loads(row.extras) if row.extras else {}).get("refund_requests") or []
    return {str(r.get("status")) for r in (requests if isinstance(requests, list) else [requests])}


def changed_since(request: Request, where: str, values: list[str]) -> tuple[str, list[str]]:
    text = request.query_params.get("changed_since")
    if text is None:
        return where, values
    try:
        if not CHANGED_SINCE.fullmatch(text):
            raise ValueError
        datetime.fromisoformat(text)
    except ValueError:
        raise wrong_argument("changed_since") from None
    return f"{where} and changed >= ?", [*values, text]


def after_last_item(request: Request, where: str, values: list[str]) -> tuple[str, list[str]]:
    last = request.query_params.get("last_item_seen")
    if last is None:
        return where, values
    if "changed_since" not in request.query_params:
        raise wrong_argument("last_item_seen")
    return f"{where} and (length(id), id) > (length(?), ?)", [*values, last, last]


def attendee_status(
    request: Request, where: str, values: list[str], allowed: tuple[str, ...]
) -> tuple[str, list[str]]:
    status = request.query_params.get("status")
    if status is None:
        return where, values
    if status not in allowed:
        raise wrong_argument("status")
    return f"{where} and state = ?", [*values, status]
