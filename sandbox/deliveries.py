"""Webhook deliveries as Eventbrite was seen to send them: pointers only, updated before placed, twice in a
second, by parallel senders, and never again when they failed."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import Any

import orjson
import requests

from sandbox.store import Json, Store

SENDERS = 4
WITHIN = 10  # seconds
LOG_LENGTH = 10_000
FOREIGN = "https://www.eventbriteapi.com.evil.example/v3"
PATHS = {
    "orders": "/orders/{id}/",
    "attendees": "/events/{event_id}/attendees/{id}/",
    "events": "/events/{id}/",
    "ticket_classes": "/events/{event_id}/ticket_classes/{id}/",
    "venues": "/venues/{id}/",
}


@dataclass
class Switches:
    """What may happen to deliveries. Those that count down hit that many of the next."""

    is_on: bool = True
    hold: bool = False  # keep them until this is off again
    duplicates: int = 0  # times each is sent once more
    reorder: bool = False  # the last of a change first
    drop: int = 0  # counts down: never sent
    foreign: int = 0  # counts down: the api_url is of another host
    wrong_webhook_id: bool = False

    def set(self, wish: Json) -> None:
        """Raises ValueError for a name or a type of value that is not here."""
        known = {each.name: type(getattr(self, each.name)) for each in fields(self)}
        for name, value in wish.items():
            if name not in known:
                raise ValueError(f"no such switch: {name}")
            if type(value) is not known[name]:
                raise ValueError(f"{name} cannot be {value!r}")
        for name, value in wish.items():
            setattr(self, name, value)


@dataclass(frozen=True)
class Told:
    """One thing that happened. path: of the object, below the API's address."""

    action: str
    organization_id: str | None
    event_id: str | None
    path: str


class Deliveries:
    """Sends to the hooks of an account. `clock` gives seconds since 1970."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store, self.clock = store, clock
        self.switches = Switches()
        self.log: deque[Json] = deque(maxlen=LOG_LENGTH)
        self.open = 0  # sent, and not answered yet
        self._held: list[tuple[str, list[Json]]] = []
        self._pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="delivery")
        self._tasks: set[asyncio.Task[Any]] = set()

    def hooks(self) -> list[Json]:
        rows = self.store.rows(self.store.read_numbers("webhooks"))
        return [row.item | {"organization_id": row.organization_id} for row in rows]

    def of_put(self, objects: dict[str, list[Json]]) -> list[Told]:
        """What putting these objects will tell of. To be asked before."""
        if not self.switches.is_on or not self.hooks():
            return []
        first, then = [], []
        for kind in ("events", "venues", "ticket_classes", "orders", "attendees"):
            for item in objects.get(kind, ()):
                before = self.store.whole(kind, str(item["id"]))
                first += [self._told(kind, item, action) for action in _actions(kind, before, item)]
                if kind == "orders" and before is None:
                    then.append(self._told(kind, item, "order.updated"))
        return first + then

    def of_delete(self, objects: dict[str, list[str]]) -> list[Told]:
        """Only of a ticket class Eventbrite tells that it is gone. To be asked before."""
        if not self.switches.is_on or not self.hooks():
            return []
        gone = (self.store.whole("ticket_classes", str(each)) for each in objects.get("ticket_classes", ()))
        return [self._told("ticket_classes", item, "ticket_class.deleted") for item in gone if item]

    def _told(self, kind: str, item: Json, action: str) -> Told:
        event_id = item["id"] if kind == "events" else item.get("event_id")
        owner = item.get("organization_id")
        if owner is None:
            row = self.store.row(kind, item["id"]) or self.store.row("events", event_id)
            owner = row.organization_id if row else None
        return Told(action, owner, event_id, PATHS[kind].format(id=item["id"], event_id=event_id))

    def send(self, base: str, told: Iterable[Told]) -> None:
        """Send to each hook what it asked for. `base` is the API's address, `http://127.0.0.1:8900/v3`."""
        hooks = self.hooks()
        wanted = [
            self._delivery(hook, each.action, f"{base}{each.path}")
            for each in told
            for hook in hooks
            if each.action in hook["actions"]
            and hook["organization_id"] in (None, each.organization_id)
            and hook.get("event_id") in (None, each.event_id)
        ]
        self._dispatch(base, wanted)

    def test(self, base: str) -> None:
        """Press the test button of every hook."""
        root = base.removesuffix("/v3")
        address = f"{root}/{{api-endpoint-to-fetch-object-details}}/"
        self._dispatch(base, [self._delivery(hook, "test", address) for hook in self.hooks()])

    def set(self, wish: Json) -> None:
        self.switches.set(wish)
        if not self.switches.hold:
            held, self._held = self._held, []
            for base, wanted in held:
                self._dispatch(base, wanted)

    def about(self) -> Json:
        return {
            "switches": asdict(self.switches),
            "held": sum(len(wanted) for _, wanted in self._held),
            "open": self.open,
            "deliveries": list(self.log),
        }

    def _delivery(self, hook: Json, action: str, api_url: str) -> Json:
        return {
            "hook": hook["id"],
            "endpoint_url": hook["endpoint_url"],
            "action": action,
            "user_id": hook.get("user_id"),
            "api_url": api_url,
        }

    def _dispatch(self, base: str, wanted: list[Json]) -> None:
        switches = self.switches
        if switches.hold:
            self._held.append((base, wanted))
            return
        kept = []
        for delivery in wanted:
            if switches.drop > 0:
                switches.drop -= 1
                self.log.append({"at": self.clock(), **delivery, "status": "dropped"})
                continue
            if switches.foreign > 0:
                switches.foreign -= 1
                delivery = {**delivery, "api_url": delivery["api_url"].replace(base, FOREIGN)}
            kept += [delivery] * (1 + switches.duplicates)
        loop = asyncio.get_running_loop()
        for delivery in reversed(kept) if switches.reorder else kept:
            self.open += 1
            task = loop.create_task(self._post(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _post(self, delivery: Json) -> None:
        webhook_id = "999" if self.switches.wrong_webhook_id else delivery["hook"]
        try:
            status = await asyncio.get_running_loop().run_in_executor(self._pool, _post, delivery, webhook_id)
        finally:
            self.open -= 1
        self.log.append({"at": self.clock(), **delivery, "status": status})
        if status == 410:
            self.store.delete({"webhooks": [delivery["hook"]]})


def _post(delivery: Json, webhook_id: str) -> int | str:
    """The status, or why there is none."""
    config = {
        "action": delivery["action"],
        "user_id": delivery["user_id"],
        "endpoint_url": delivery["endpoint_url"],
        "webhook_id": webhook_id,
    }
    headers = {
        "Content-Type": "application/json",
        "Accept": "text/plain",
        "User-Agent": "Eventbrite Hookshot 1234567",
        "X-Eventbrite-Event": delivery["action"],
        "X-Eventbrite-Delivery": webhook_id,
        "User-ID-Sender": str(delivery["user_id"]),
    }
    body = orjson.dumps({"config": config, "api_url": delivery["api_url"]})
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.post(
                delivery["endpoint_url"], body, headers=headers, timeout=WITHIN, allow_redirects=False
            )
        except requests.RequestException as error:
            return type(error).__name__
    return answer.status_code


def _actions(kind: str, before: Json | None, after: Json) -> list[str]:
    """What Eventbrite calls a change; `before` None where the object is new."""
    if kind == "orders":
        if before is None:
            return ["order.updated", "order.placed"]
        is_refunded = _gross(after) < _gross(before) or (
            len(after.get("refund_requests") or ()) > len(before.get("refund_requests") or ())
        )
        return ["order.updated", *(["order.refunded"] if is_refunded else [])]
    if kind == "attendees":
        was_in, is_in = bool((before or {}).get("checked_in")), bool(after.get("checked_in"))
        scanned = {(False, True): ["attendee.checked_in"], (True, False): ["attendee.checked_out"]}
        return ["attendee.updated", *scanned.get((was_in, is_in), [])]
    if kind == "events":
        was_out = before is not None and before.get("status") != "draft"
        is_out = after.get("status") != "draft"
        shown = {(False, True): ["event.published"], (True, False): ["event.unpublished"]}
        return ["event.created" if before is None else "event.updated", *shown.get((was_out, is_out), [])]
    if kind == "ticket_classes":
        return ["ticket_class.created" if before is None else "ticket_class.updated"]
    return ["venue.updated"] if kind == "venues" and before is not None else []


def _gross(order: Json) -> float:
    gross = (order.get("costs") or {}).get("gross") or {}
    return float(gross.get("value") or 0)
