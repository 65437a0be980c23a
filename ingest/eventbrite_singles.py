"""Single objects of Eventbrite, fetched because notices name them, in the form that listings show them in.

An order is fetched with its attendees, an event with its venue and ticket classes: one call each. What is of
no organization that is loaded is left out: anybody's public event can be read with our token.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from boxoffice.errors import BoxofficeError, CallError
from boxoffice.eventbrite_api import (
    Client,
    ExpansionFailed,
    NotAccepted,
    Stopped,
    TokenRefused,
    Unavailable,
    Withheld,
)
from boxoffice.settings import Settings
from ingest import landing
from ingest.eventbrite import EXPANSIONS, SOURCE, Single

THREADS = 6
DOWN_FOR = 30.0  # seconds to leave Eventbrite alone when it does not answer at all
# An Eventbrite that hangs must not keep the lock from others: so long is an answer waited for, and after so
# many objects in a row without one the others are left for the next time.
ANSWER_WITHIN = 20.0  # seconds
ENOUGH = 6
# Of an order's costs, those that the organization's listing shows: an order read either way is one version.
LISTED_COSTS = frozenset({"base_price", "eventbrite_fee", "gross", "payment_fee", "tax"})
OF_AN_ORDER = f"{EXPANSIONS['orders']},attendees,attendees.{EXPANSIONS['attendees']}"
KINDS = ("order", "attendee", "event", "ticket_class", "venue", "organizer")
OF_AN_EVENT = f"{EXPANSIONS['events']},venue"


class Key(NamedTuple):
    """type: order, attendee, event, ticket_class, venue or organizer."""

    type: str
    id: str


class Wanted(Protocol):
    """An object to fetch. parent_id: of an attendee or a ticket class, its event."""

    @property
    def type(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def parent_id(self) -> str | None: ...


LONGEST_WAIT = 5.0  # seconds


class Closed(Exception):
    """Eventbrite takes no more calls for that many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no more calls for {seconds:.0f} s")
        self.seconds = seconds


def client_for(settings: Settings, sleep: Callable[[float], None] = time.sleep) -> Client:
    """A client for `fetch`: it may spend what loads leave to it, and never waits for long."""

    def wait(seconds: float) -> None:
        if seconds > LONGEST_WAIT:
            raise Closed(seconds)
        sleep(seconds)

    assert settings.eventbrite_token is not None
    return Client(
        settings.eventbrite_api_url,
        settings.eventbrite_token,
        sleep=wait,
        attempts=2,
        within=ANSWER_WITHIN,
        kept=0,
        secrets=[settings.webhook_secret or ""],
    )


@dataclass
class Fetched:
    """What came of fetching. What was wanted and is named nowhere here was not tried.

    objects: to be merged. read: those that came, or have nothing to land. missing: Eventbrite does not show
    them, or not yet. failed: no usable answer, of these objects alone. closed_for: seconds for which
    Eventbrite takes no calls at all; problem: why, where that is not merely a spent budget. changed_at: of
    orders and attendees that came, in seconds since the epoch.
    """

    objects: list[Single] = field(default_factory=list)
    read: set[Key] = field(default_factory=set)
    missing: dict[Key, BoxofficeError] = field(default_factory=dict)
    failed: dict[Key, BoxofficeError] = field(default_factory=dict)
    closed_for: float | None = None
    problem: BoxofficeError | None = None
    changed_at: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def orders(self) -> set[str]:
        """Ids of the orders that came, or an attendee of which came."""
        names = {"orders": "id", "attendees": "order_id"}
        keys = (each.item.get(names[each.table]) for each in self.objects if each.table in names)
        return {str(key) for key in keys if key}


def fetch(client: Client, settings: Settings, wanted: Sequence[Wanted]) -> Fetched:
    """Fetch each object once.

    Args:
        client: raises `Closed` where it would have to wait for long.

    Raises:
        BoxofficeError: nothing has been loaded yet, so that nothing is known to be ours.
    """
    fetching = _Fetching(client, _Held.of(settings))
    fetching.run(wanted)
    return fetching.found


@dataclass(frozen=True)
class _Held:
    """What bronze knows: ids of the organizations that are loaded; the organization of events and venues."""

    organizations: frozenset[str]
    events: Mapping[str, str]
    venues: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> "_Held":
        schema, chosen = landing.schema_of(SOURCE), settings.eventbrite_organization_id
        with landing.warehouse(settings) as connection:
            rows: dict[str, list[Any]] = {"organizations": [], "events": [], "venues": []}
            tables = "select table_name from duckdb_tables() where schema_name = ?"
            for (name,) in connection.execute(tables, [schema]).fetchall() if connection else ():
                if connection and name in rows:
                    owner = "id" if name == "organizations" else "organization_id"
                    rows[name] = connection.execute(f"select id, {owner} from {schema}.{name}").fetchall()
        organizations = frozenset(key for key, _ in rows["organizations"] if chosen in (None, key))
        if not organizations:
            raise BoxofficeError(
                "Nothing of Eventbrite has been loaded yet.",
                "`make run` loads it; notices that come meanwhile wait for that.",
            )
        return cls(organizations, dict(rows["events"]), dict(rows["venues"]))


class _Answer(NamedTuple):
    item: dict[str, Any]
    is_lean: bool


class _Fetching:
    def __init__(self, client: Client, held: _Held) -> None:
        self._client, self._held = client, held
        self.found = Fetched()
        self._owners = dict(held.events)
        self._is_answered = False
        self._unanswered = 0  # objects, since the last answer

    def run(self, wanted: Sequence[Wanted]) -> None:
        of = {kind: [each for each in wanted if each.type == kind] for kind in KINDS}
        # Nothing is kept of organizers.
        self.found.read |= {Key("organizer", each.id) for each in of["organizer"]}
        sold = self._all(
            {Key("order", each.id): _path("orders", each.id) for each in of["order"]}, OF_AN_ORDER
        )
        for answer in list(sold.values()):
            sold |= {
                Key("attendee", str(each["id"])): _Answer(each, answer.is_lean)
                for each in _taken(answer.item, "attendees")
            }
        sold |= self._all(
            {
                key: _path("events", each.parent_id or "", "attendees", each.id)
                for each in of["attendee"]
                if (key := Key("attendee", each.id)) not in sold
            },
            EXPANSIONS["attendees"],
        )
        parents = {Key("ticket_class", each.id): each.parent_id or "" for each in of["ticket_class"]}
        events = {*parents.values(), *(each.id for each in of["event"])}
        events |= {_event_of(answer) for answer in sold.values()} - {"", *self._held.events}
        came = self._all({Key("event", each): _path("events", each) for each in sorted(events)}, OF_AN_EVENT)
        venues = {venue for key, answer in came.items() if (venue := self._event(key, answer))}
        for key, answer in sold.items():
            self._sale(key, answer)
        for key, event_id in parents.items():
            self._as_its_event(key, event_id)
        venues |= {each.id for each in of["venue"] if each.id not in self._held.venues}
        self.found.read |= {Key("venue", each) for each in venues}
        asked = {
            Key("venue", each.id): _path("venues", each.id) for each in of["venue"] if each.id not in venues
        }
        for key, answer in self._all(asked, None).items():
            self._keep(key, "venues", answer, organization_id=self._held.venues[key.id])
        is_silent = not self._is_answered or self._unanswered >= ENOUGH
        if self.found.failed and is_silent and self.found.closed_for is None:
            self._find_out()

    def _find_out(self) -> None:
        """No more is answered: one more call tells whether Eventbrite is down, or these are at fault."""
        try:
            self._client.get("users/me/")
        except Closed as closed:
            self.found.closed_for = closed.seconds
        except CallError as problem:
            self.found.closed_for, self.found.problem = DOWN_FOR, problem
        if self.found.closed_for is not None:
            self.found.failed.clear()

    def _all(self, paths: Mapping[Key, str], expand: str | None) -> dict[Key, _Answer]:
        """What came of these; of the others `found` tells."""
        came: dict[Key, _Answer] = {}

        def one(key: Key) -> None:
            try:
                # What is closed for one is closed for all.
                if self.found.closed_for is None and self._unanswered < ENOUGH:
                    came[key] = self._get(key, paths[key], expand)
                    self._answered()
            except Closed as closed:
                self.found.closed_for = closed.seconds
            except TokenRefused as problem:
                self.found.closed_for, self.found.problem = DOWN_FOR, problem
            except Withheld as problem:
                self.found.missing[key] = problem
                self._answered()
            except BoxofficeError as problem:
                # An abandoned checkout is gone, says the reference.
                is_gone = isinstance(problem, NotAccepted) and "ORDER_EXPIRED" in problem.problem
                (self.found.missing if is_gone else self.found.failed)[key] = problem
                if isinstance(problem, Unavailable):
                    self._unanswered += 1
                else:
                    self._answered()
            except Stopped:
                pass

        with ThreadPoolExecutor(THREADS, thread_name_prefix=SOURCE) as pool:
            try:
                list(pool.map(one, paths))
            except BaseException:
                self._client.stop()
                raise
        return came

    def _answered(self) -> None:
        self._is_answered, self._unanswered = True, 0

    def _get(self, key: Key, path: str, expand: str | None) -> _Answer:
        try:
            answer = _Answer(self._client.get(path, **({"expand": expand} if expand else {})), False)
        except ExpansionFailed:
            answer = _Answer(self._client.get(path), True)
        if str(answer.item.get("id")) != key.id:
            raise BoxofficeError(
                f"Eventbrite's answer for {path} is something else.", "The next run looks again."
            )
        return answer

    def _event(self, key: Key, answer: _Answer) -> str | None:
        """Keeps an event of ours and what came with it. Returns its venue's id, if that came."""
        organization_id = str(answer.item.get("organization_id"))
        self._owners[key.id] = organization_id
        classes, venue = _taken(answer.item, "ticket_classes"), answer.item.pop("venue", None)
        # A series is its dates; what spans them is no event.
        if organization_id not in self._held.organizations or answer.item.get("is_series_parent") is True:
            self.found.read.add(key)
            return None
        self._keep(key, "events", answer, organization_id=organization_id)
        own = {"organization_id": organization_id}
        self.found.objects += [
            Single("ticket_classes", each, {"event_id": key.id, **own}) for each in classes
        ]
        if not isinstance(venue, dict) or not venue.get("id"):
            return None
        self.found.objects.append(Single("venues", venue, own))
        return str(venue["id"])

    def _sale(self, key: Key, answer: _Answer) -> None:
        event_id = _event_of(answer)
        if event_id and event_id not in self._owners:
            self._as_its_event(key, event_id)
            return
        if changed := landing.moment_or_none(answer.item.get("changed")):
            self.found.changed_at[key] = changed.replace(tzinfo=UTC).timestamp()
        costs = answer.item.get("costs")
        if key.type == "order" and isinstance(costs, dict):
            answer.item["costs"] = {name: value for name, value in costs.items() if name in LISTED_COSTS}
        self._keep(key, f"{key.type}s", answer, organization_id=self._owners.get(event_id, ""))

    def _keep(self, key: Key, table: str, answer: _Answer, *, organization_id: str) -> None:
        self.found.read.add(key)
        if organization_id in self._held.organizations:
            own = {"organization_id": organization_id}
            self.found.objects.append(Single(table, answer.item, own, answer.is_lean))

    def _as_its_event(self, key: Key, event_id: str) -> None:
        """Nothing is to be said of this object but what became of its event."""
        event = Key("event", event_id)
        for said in (self.found.missing, self.found.failed):
            if event in said:
                said[key] = said[event]
        if event in self.found.read:
            self.found.read.add(key)


def _path(*words: str) -> str:
    return "".join(f"{quote(word, safe='')}/" for word in words)


def _event_of(answer: _Answer) -> str:
    return str(answer.item.get("event_id") or "")


def _taken(item: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of an expansion, which is taken out: it is no part of the object."""
    expanded = item.pop(name, None)
    whole = expanded if isinstance(expanded, list) else []
    return [each for each in whole if isinstance(each, dict) and each.get("id")]
