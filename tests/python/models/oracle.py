"""The marts once more, in plain Python: what gold must hold for a given bronze.

Written from the design's formulas, not from the SQL, and slow on purpose: one thought at a time. Where the
design leaves room the reading taken here says so. Money is Decimal in major units.
"""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from csv import DictReader
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

Row = dict[str, Any]
Tables = Mapping[str, list[Row]]
Links = Iterable[tuple[str, str]]
Member = tuple[str, str]  # source and id

CENT = Decimal("0.0001")
SEED = Path(__file__).resolve().parents[3] / "seeds/reference/currencies.csv"
ATTENDING = {"attending", "checked in", "guests attending", "guests attended"}
UNPAID = {"unpaid", "pending", "started", "abandoned"}
CANCELLED = {"cancelled", "canceled"}
SHEET_STATUSES = {"valid", "deleted", "unpaid", "cancelled", "refunded", "transferred"}
# What Eventbrite writes when nobody chose an affiliate.
OWN_AFFILIATES = {"oddtdtcreator", "ebdssbdestsearch", "ebdssbcitybrowse", "ebapi"}
KNOWN_ZONES = available_timezones()


@dataclass
class Event:
    key: str
    source: str
    name: str | None
    status: str | None
    day: date | None
    zone: str
    currency: str | None
    capacity: int | None
    capacity_source: str | None
    has_ended: bool
    is_cancelled: bool


@dataclass
class Ticket:
    key: str
    event: str
    status: str
    is_seat: bool
    is_free: bool
    channel: str | None
    day: date | None
    currency: str | None
    gross: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    refunds: list[tuple[date | None, Decimal]] = field(default_factory=list)
    is_scanned: bool = False
    buyer: tuple[str, str | None] | None = None

    @property
    def refunded(self) -> Decimal:
        return sum((amount for _, amount in self.refunds), Decimal(0))

    @property
    def is_sold(self) -> bool:
        return self.status == "valid" and self.is_seat


@dataclass
class Extra:
    """Money without a ticket: an order's beyond its attendees, or a sheet's refund of no ticket we know."""

    event: str
    day: date | None
    currency: str | None
    gross: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    refunds: list[tuple[date | None, Decimal]] = field(default_factory=list)

    @property
    def refunded(self) -> Decimal:
        return sum((amount for _, amount in self.refunds), Decimal(0))


@dataclass
class Version:
    changed: datetime
    landed: datetime
    gross: int
    fees: int
    tax: int
    is_unpaid: bool
    is_refunded: bool


@dataclass
class SheetEvent:
    """What an event_id of the sheets stands for: the key it goes by and the currency its tickets are in."""

    key: str
    currency: str | None


@dataclass
class Silver:
    events: dict[str, Event]
    tickets: list[Ticket]
    extras: list[Extra]
    campaigns: list[Row]
    people: dict[str, list["Member"]]


@dataclass
class Record:
    """A record of Airtable in one role: by our column the text of its cell, and the zone of the field."""

    cells: dict[str, tuple[str | None, str]]

    def text(self, column: str) -> str | None:
        return self.cells[column][0] if column in self.cells else None

    def moment(self, column: str) -> datetime | None:
        """UTC, of a date and time; a date alone is no moment."""
        text = self.text(column)
        return as_moment(text) if text and text.endswith("Z") else None

    def day(self, column: str, zone: str | None = None) -> date | None:
        """Of a date as written; of a date and time in that zone, else the field's."""
        moment = self.moment(column)
        if moment is None:
            text = self.text(column)
            return None if text and text.endswith("Z") else _day(as_moment(text))
        return _local_day(moment, zone or self.cells[column][1])


def gold(tables: Tables, as_of: str, links: Links = ()) -> dict[str, dict[Any, Row]]:
    """event_sales by event_key, event_money by (event_key, currency), daily_metrics by (date, currency),
    campaign_roi by (event_key, channel), sales_pace by (event_key, days_before_event), dim_customer by
    customer_key as it is without a salt. `links` are the rows of event_links: (sheet's id, Eventbrite's)."""
    silver = conform(tables, datetime.fromisoformat(as_of), links)
    money = event_money(silver)
    sales = event_sales(silver, money)
    return {
        "event_sales": sales,
        "event_money": money,
        "daily_metrics": daily_metrics(silver),
        "campaign_roi": campaign_roi(silver, sales),
        "sales_pace": sales_pace(silver, sales, datetime.fromisoformat(as_of).date()),
        "dim_customer": dim_customer(silver),
    }


# What the sources say


def conform(tables: Tables, as_of: datetime, links: Links = ()) -> Silver:
    capacities = _venue_capacities(tables)
    events = _eventbrite_events(tables, as_of, capacities)
    of_sheet = _sheet_events(tables, as_of, capacities)
    named = {}
    for id, event in of_sheet.items():
        # The smallest of several: an event is not two.
        twins = sorted(twin for mine, twin in links if mine == id and f"eventbrite-{twin}" in events)
        if twins:
            twin = events[f"eventbrite-{twins[0]}"]
            named[id] = SheetEvent(twin.key, event.currency or twin.currency)
        else:
            named[id] = SheetEvent(event.key, event.currency)
    events |= {event.key: event for id, event in of_sheet.items() if named[id].key == event.key}
    meant = _meanings(tables, as_of, capacities, events, named)
    online, beyond = _eventbrite_tickets(tables, events)
    offline, unknown_refunds = _sheet_tickets(tables, named)
    campaigns = _campaigns(tables, meant)
    tickets = [*online, *offline]
    scanned = _scanned(tables)
    for ticket in tickets:
        ticket.is_scanned = ticket.key in scanned
    extras = [*beyond, *unknown_refunds]
    used = {row.event for row in (*tickets, *extras)} | {row["event"] for row in campaigns}
    used |= {
        "eventbrite-unknown"
        for kind in ("orders", "ticket_classes")
        for row in tables[f"bronze_eventbrite.{kind}"]
        if f"eventbrite-{row['event_id']}" not in events
    }
    used |= {
        "sheets-unknown"
        for row in kept(tables, "checkins", "checkin_id")
        if row["event_id"] not in named
        and f"sheets-{row['ticket_id']}" not in {ticket.key for ticket in offline}
    }
    for source in ("eventbrite", "sheets", "airtable"):
        key = f"{source}-unknown"
        if key in used:
            events[key] = Event(
                key, source, "unknown", "unknown", None, "UTC", None, None, None, False, False
            )
    return Silver(events, tickets, extras, campaigns, _people(tables))


def venue_groups(venues: Mapping[Member, tuple[str | None, str | None]]) -> list[set[Member]]:
    """Which venues, by name and city, are one: same name, same city; without a city the only one there is."""
    towns = defaultdict(set)
    for name, city in venues.values():
        if fold(city):
            towns[fold(name)].add(fold(city))
    groups: dict[Any, set[Member]] = defaultdict(set)
    for member, (name, city) in venues.items():
        others = towns[fold(name)]
        town = fold(city) or (min(others) if len(others) == 1 else None)
        groups[(fold(name), town) if fold(name) else member].add(member)
    return list(groups.values())


def person_groups(people: Mapping[Member, str | None]) -> list[set[Member]]:
    """Which records, by e-mail, tell of one person. Without an e-mail only a sheet's customer is somebody."""
    groups: dict[Any, set[Member]] = defaultdict(set)
    for member, email in people.items():
        plain = (email or "").strip(" ").lower()
        is_email = plain.find("@") > 0 and not plain.endswith("@") and " " not in plain
        if is_email or member[0] == "sheets":
            groups[plain if is_email else member].add(member)
    return list(groups.values())


def records(tables: Tables, role: str) -> dict[str, Record]:
    """By record id, those of the tables mapped in that role. What is gone or boxoffice wrote is no source."""
    written = {(row["table_id"], row["record_id"]) for row in tables["ops.airtable_keys"]}
    found = {}
    for row in tables["bronze_airtable.records"]:
        mapped = [
            line
            for line in tables["bronze_airtable.mappings"]
            if (line["table_id"], line["role"]) == (row["table_id"], role)
        ]
        if not mapped or row["missing_since"] or (row["table_id"], row["id"]) in written:
            continue
        # A number is read as it stands there.
        cells = json.loads(row["payload"], parse_int=str, parse_float=str)["fields"]
        found[row["id"]] = Record(
            {
                line["column_name"]: (
                    _present(_cell(cells.get(line["field_id"]))),
                    line["timezone"] if line["timezone"] in KNOWN_ZONES else "UTC",
                )
                for line in mapped
            }
        )
    return found


def _cell(value: Any) -> str | None:
    """Links and choices joined, a person's name; an error of a formula and a file have no text."""
    if isinstance(value, list):
        return None if any(isinstance(each, dict) for each in value) else ", ".join(value)
    if isinstance(value, dict):
        return value.get("name")
    return value


def _meanings(
    tables: Tables,
    as_of: datetime,
    capacities: Mapping[Member | str, int | None],
    events: dict[str, Event],
    named: Mapping[str, SheetEvent],
) -> Callable[[str | None], str | None]:
    """Adds Airtable's own events to `events`. Returns what finds the key of the event that an id means: of a
    sheet, else of Eventbrite, else a record of Airtable, else the id that people gave one there."""
    written = {row["record_id"]: row["key"] for row in tables["ops.airtable_keys"]}
    known = {id: event.key for id, event in named.items()}
    known = {key.removeprefix("eventbrite-"): key for key in events if key.startswith("eventbrite-")} | known
    of_record = {}
    shows = records(tables, "event")
    for id, show in shows.items():
        # One that has the id of an event of a sheet or of Eventbrite is that event.
        of_record[id] = known.get(show.text("event_id") or "", f"airtable-{id}")
    for id, show in shows.items():
        if of_record[id] == f"airtable-{id}":
            venue = show.text("venue_id") or ""
            places = [("airtable", venue), written.get(venue, ""), ("sheets", venue), ("eventbrite", venue)]
            of_venue = next((capacities[place] for place in places if place in capacities), None)
            capacity, capacity_source = _capacity(_whole(show.text("stated_capacity")), None, of_venue)
            zone = show.text("timezone") if show.text("timezone") in KNOWN_ZONES else None
            starts, ends = show.moment("starts_at"), show.moment("ends_at")
            day = show.day("event_date", zone)
            if day is None and starts:
                day = _local_day(starts, zone or show.cells["starts_at"][1])
            status = _lower(show.text("status"))
            events[f"airtable-{id}"] = Event(
                key=f"airtable-{id}",
                source="airtable",
                name=show.text("event_name"),
                status=status,
                day=day,
                zone=zone or "UTC",
                currency=_upper(show.text("currency")),
                capacity=capacity,
                capacity_source=capacity_source,
                has_ended=ends < as_of if ends else day is not None and day < as_of.date(),
                is_cancelled=status in CANCELLED,
            )

    def meant(id: str | None) -> str | None:
        if id is None:
            return None
        if key := known.get(id) or of_record.get(id):
            return key
        if written.get(id) in events:
            return written[id]
        return min(
            (of_record[key] for key, show in shows.items() if show.text("event_id") == id), default=None
        )

    return meant


def _venue_capacities(tables: Tables) -> dict[Member | str, int | None]:
    """Of each venue, and by its key, what the first (source, id) that knows says of the place."""
    listed: dict[Member, Row] = {
        ("eventbrite", row["id"]): json.loads(row["payload"]) for row in tables["bronze_eventbrite.venues"]
    }
    named = {
        member: (venue.get("name"), (venue.get("address") or {}).get("city"))
        for member, venue in listed.items()
    }
    for row in kept(tables, "venues", "venue_id"):
        member = ("sheets", row["venue_id"])
        named[member] = (row["name"], row["city"])
        listed[member] = {"capacity": _whole(row["capacity"])}
    for id, venue in records(tables, "venue").items():
        named["airtable", id] = (venue.text("venue_name"), venue.text("city"))
        listed["airtable", id] = {"capacity": _whole(venue.text("capacity"))}
    capacities: dict[Member | str, int | None] = {}
    for group in venue_groups(named):
        known = [
            listed[member]["capacity"] for member in sorted(group) if (listed[member]["capacity"] or 0) > 0
        ]
        capacities.update(dict.fromkeys((*group, "-".join(min(group))), known[0] if known else None))
    return capacities


def _people(tables: Tables) -> dict[str, list[Member]]:
    """Key to the records that tell of the person, the first of them giving the key."""
    emails: dict[Member, str | None] = {}
    for row in tables["bronze_eventbrite.orders"]:
        emails["eventbrite", f"order-{row['id']}"] = json.loads(row["payload"]).get("email")
    for row in tables["bronze_eventbrite.attendees"]:
        profile = json.loads(row["payload"]).get("profile") or {}
        emails["eventbrite", f"attendee-{row['id']}"] = profile.get("email")
    for row in kept(tables, "customers", "customer_id"):
        emails["sheets", row["customer_id"]] = row["email"]
    return {"-".join(min(group)): sorted(group) for group in person_groups(emails)}


def _eventbrite_events(
    tables: Tables, as_of: datetime, capacities: Mapping[Member | str, int | None]
) -> dict[str, Event]:
    classes = defaultdict(list)
    for row in tables["bronze_eventbrite.ticket_classes"]:
        payload = json.loads(row["payload"])
        if row["missing_since"] is None and _category(payload) == "admission":
            classes[row["event_id"]].append(payload)

    events = {}
    for row in tables["bronze_eventbrite.events"]:
        payload = json.loads(row["payload"])
        if payload.get("is_series_parent"):
            continue
        start, end = payload.get("start") or {}, payload.get("end") or {}
        zone = start.get("timezone")
        of_venue = capacities.get(("eventbrite", payload.get("venue_id")))
        capacity, capacity_source = _capacity(payload.get("capacity"), _seats(classes[row["id"]]), of_venue)
        key = f"eventbrite-{row['id']}"
        events[key] = Event(
            key=key,
            source="eventbrite",
            name=_present((payload.get("name") or {}).get("text")),
            status=_lower(payload.get("status")),
            day=_day(as_moment(start.get("local"))),
            zone=zone if zone in KNOWN_ZONES else "UTC",
            currency=_upper(payload.get("currency")),
            capacity=capacity,
            capacity_source=capacity_source,
            has_ended=bool(end.get("utc")) and as_moment(end["utc"]) < as_of,
            is_cancelled=_lower(payload.get("status")) in CANCELLED,
        )
    return events


def _capacity(own: int | None, classes: int | None, venue: int | None) -> tuple[int | None, str | None]:
    """The first of the three that is known; 0 is not."""
    for value, name in ((own, "event"), (classes, "ticket_classes"), (venue, "venue")):
        if value is not None and value > 0:
            return value, name
    return None, None


def _seats(classes: list[Row]) -> int | None:
    """The sum of the admission classes; unknown if there is none, or one of them has no limit."""
    limits = [each.get("capacity") or each.get("quantity_total") for each in classes]
    return sum(limits) if limits and all(limits) else None


def _category(ticket_class: Row) -> str:
    if ticket_class.get("donation"):
        return "donation"
    return str(ticket_class.get("category") or "admission").lower()


def _sheet_events(
    tables: Tables, as_of: datetime, capacities: Mapping[Member | str, int | None]
) -> dict[str, Event]:
    """By the sheet's own id."""
    artists = {row["artist_id"]: row for row in kept(tables, "artists", "artist_id")}
    events = {}
    for row in kept(tables, "events", "event_id"):
        day = _day(as_moment(row["event_date"]))
        capacity, capacity_source = _capacity(None, None, capacities.get(("sheets", row["venue_id"])))
        status = _lower(row["status"])
        events[row["event_id"]] = Event(
            key=f"sheets-{row['event_id']}",
            source="sheets",
            name=(artists.get(row["artist_id"]) or {}).get("name"),
            status=status,
            day=day,
            zone="UTC",
            currency=_upper(row["currency"]),
            capacity=capacity,
            capacity_source=capacity_source,
            has_ended=day is not None and day < as_of.date(),
            is_cancelled=status in CANCELLED,
        )
    return events


def _eventbrite_tickets(tables: Tables, events: Mapping[str, Event]) -> tuple[list[Ticket], list[Extra]]:
    orders = {row["id"]: row for row in tables["bronze_eventbrite.orders"]}
    payloads = {id: json.loads(row["payload"]) for id, row in orders.items()}
    classes = {row["id"]: json.loads(row["payload"]) for row in tables["bronze_eventbrite.ticket_classes"]}
    attendees = {row["id"]: row for row in tables["bronze_eventbrite.attendees"]}
    paid = {
        id: _paid_versions(versions)
        for id, versions in _versions(tables["bronze_eventbrite.attendees_history"]).items()
    }
    for id, row in attendees.items():
        of_order = (payloads.get(row["order_id"]) or {}).get("status")
        if _lower(json.loads(row["payload"]).get("status")) in UNPAID or _lower(of_order) in UNPAID:
            paid[id] = []
    by_order = defaultdict(list)
    for id, row in attendees.items():
        by_order[row["order_id"]].append(id)
    shares = {}
    for order_id, ids in by_order.items():
        processed = _processed(payloads.get(order_id))
        shares.update(_shares(processed, {id: paid[id][0] for id in sorted(ids, key=int) if paid[id]}))

    tickets = []
    for id, row in attendees.items():
        payload = json.loads(row["payload"])
        order = payloads.get(row["order_id"]) or {}
        event = events.get(f"eventbrite-{row['event_id']}")
        zone = event.zone if event else "UTC"
        currency = _upper((payload["costs"].get("gross") or {}).get("currency")) or (
            event.currency if event else None
        )
        promo = _present((payload.get("promotional_code") or {}).get("code")) or _present(
            order.get("promo_code")
        )
        affiliate = _present(payload.get("affiliate"))
        if affiliate and affiliate.lower() in OWN_AFFILIATES:
            affiliate = None
        ticket = Ticket(
            key=f"eventbrite-{id}",
            event=event.key if event else "eventbrite-unknown",
            status=_online_status(row, payload, orders.get(row["order_id"]), order),
            is_seat=_category(classes.get(payload.get("ticket_class_id")) or {}) == "admission",
            is_free=False,
            channel=fold(promo or affiliate),
            day=_local_day(payload.get("created") or order.get("created") or payload["changed"], zone),
            currency=currency,
            buyer=("eventbrite", f"order-{row['order_id']}"),
        )
        tickets.append(ticket)
        if not paid[id]:
            continue
        first = paid[id][0]
        processed = _processed(order)
        refunds = [(moment, amount) for moment, amount in shares.get(id, []) if amount]
        refunds += _lowerings(paid[id], processed)
        current = paid[id][-1].gross
        gross = current + sum(amount for _, amount in refunds)
        # Nobody is let in free whose price was given back.
        ticket.is_free = gross == 0 and not payload.get("refunded")
        ticket.gross = major(gross, currency)
        ticket.fees = major(first.fees, currency)
        ticket.tax = major(first.tax, currency)
        ticket.refunds = [(_local_day(moment, zone), major(amount, currency)) for moment, amount in refunds]
    return tickets, _order_items(tables, events, tickets, attendees, paid)


def _online_status(row: Row, payload: Row, order_row: Row | None, order: Row) -> str:
    """The first that fits. An order that is gone or called off takes its tickets along."""
    status, of_order = _lower(payload.get("status")), _lower(order.get("status"))
    if row["missing_since"] or status == "deleted" or of_order == "deleted":
        return "deleted"
    if order_row is not None and order_row["missing_since"]:
        return "deleted"
    if status in UNPAID or of_order in UNPAID:
        return "unpaid"
    if payload.get("cancelled") or of_order in CANCELLED:
        return "cancelled"
    if payload.get("refunded") and status not in ATTENDING:
        return "valid" if status is None and payload.get("checked_in") else "refunded"
    if status == "not attending":
        return "cancelled"
    return "valid" if status in ATTENDING or status is None else "unknown"


def _versions(history: Iterable[Row]) -> dict[str, list[Version]]:
    versions = defaultdict(list)
    for row in history:
        payload = json.loads(row["payload"])
        costs = payload.get("costs") or {}
        versions[row["id"]].append(
            Version(
                changed=row["changed"],
                landed=row["landed_at"],
                gross=_minor(costs, "gross"),
                fees=_minor(costs, "eventbrite_fee") + _minor(costs, "payment_fee"),
                tax=_minor(costs, "tax"),
                is_unpaid=_lower(payload.get("status")) in UNPAID,
                is_refunded=bool(payload.get("refunded")),
            )
        )
    for each in versions.values():
        each.sort(key=lambda version: (version.changed, version.landed))
    return versions


def _paid_versions(versions: list[Version]) -> list[Version]:
    """From the first version that was paid; a later unpaid one stays, it may have lowered the price."""
    for place, version in enumerate(versions):
        if not version.is_unpaid:
            return versions[place:]
    return []


def _minor(costs: Row, name: str) -> int:
    return int((costs.get(name) or {}).get("value") or 0)


def _processed(order: Row | None) -> list[tuple[datetime, int]]:
    """(when, minor units) of the order's refund items that were paid out, the earliest first."""
    requests = (order or {}).get("refund_requests") or []
    if isinstance(requests, dict):
        requests = [requests]
    found = []
    for request in requests:
        for item in request.get("items") or []:
            amount = item.get("amount_processed")
            amount = amount.get("value") if isinstance(amount, dict) else amount
            if _lower(item.get("status")) == "processed" and amount and item.get("processed_date"):
                found.append((as_moment(item["processed_date"]), int(amount)))
    return sorted(found)


def _shares(
    processed: list[tuple[datetime, int]], firsts: Mapping[str, Version]
) -> dict[str, list[tuple[datetime, int]]]:
    """What was lowered before we saw the tickets, shared by those already refunded then, a remainder to the
    lowest ids. Seen is when the last of them was."""
    flagged = [id for id, first in firsts.items() if first.is_refunded]
    shares: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for moment, amount in processed:
        if flagged and moment <= max(firsts[id].changed for id in flagged):
            each, rest = divmod(amount, len(flagged))
            for place, id in enumerate(flagged):
                shares[id].append((moment, each + (place < rest)))
    return shares


def _lowerings(versions: list[Version], processed: list[tuple[datetime, int]]) -> list[tuple[datetime, int]]:
    """What later versions took off the price; what a still later one put back was no refund."""
    taken: list[list[Any]] = []
    surplus = 0
    for before, after in pairwise(versions):
        change = after.gross - before.gross
        if change < 0:
            spent = min(surplus, -change)
            surplus -= spent
            between = [moment for moment, _ in processed if before.changed < moment <= after.changed]
            taken.append([max(between, default=after.changed), -change - spent])
        while change > 0 and taken:
            back = min(change, taken[-1][1])
            taken[-1][1] -= back
            change -= back
            if taken[-1][1] == 0:
                taken.pop()
        surplus += max(change, 0)
    return [(moment, amount) for moment, amount in taken if amount]


def _order_items(
    tables: Tables,
    events: Mapping[str, Event],
    tickets: list[Ticket],
    attendees: Mapping[str, Row],
    paid: Mapping[str, list[Version]],
) -> list[Extra]:
    """Money of an order beyond its attendees, by the same rule on the order's own versions."""
    versions = _versions(tables["bronze_eventbrite.orders_history"])
    of_order: dict[str, list[Ticket]] = defaultdict(list)
    flagged = Counter()
    for ticket in tickets:
        id = ticket.key.removeprefix("eventbrite-")
        of_order[attendees[id]["order_id"]].append(ticket)
        flagged[attendees[id]["order_id"]] += bool(paid[id]) and paid[id][0].is_refunded
    items = []
    for row in tables["bronze_eventbrite.orders"]:
        payload = json.loads(row["payload"])
        seen = _paid_versions(versions[row["id"]])
        if _lower(payload.get("status")) in UNPAID or not seen:
            continue
        event = events.get(f"eventbrite-{row['event_id']}")
        zone = event.zone if event else "UTC"
        currency = _upper((payload["costs"].get("gross") or {}).get("currency")) or (
            event.currency if event else None
        )
        processed = _processed(payload)
        unseen = sum(amount for moment, amount in processed if moment <= seen[0].changed)
        current = seen[-1].gross
        own = of_order[row["id"]]
        placed = major(max(seen[0].gross, current) + unseen, currency)
        gross = placed - sum(ticket.gross for ticket in own)
        refunded = placed - major(current, currency) - sum(ticket.refunded for ticket in own)
        if gross < 0 or (gross == 0 and refunded <= 0):
            continue
        fees = major(seen[0].fees, currency) - sum(ticket.fees for ticket in own)
        tax = major(seen[0].tax, currency) - sum(ticket.tax for ticket in own)
        last = max((moment for moment, _ in processed), default=seen[-1].changed)
        refunds = []
        if not flagged[row["id"]]:
            # A request that paid back more than the costs fell by tells no day: only the fall counts.
            refunds = [
                (moment, major(amount, currency))
                for moment, amount in processed
                if moment <= seen[0].changed and major(amount, currency) <= refunded
            ]
        refunds.append((last, max(refunded, Decimal(0)) - sum(amount for _, amount in refunds)))
        items.append(
            Extra(
                event=event.key if event else "eventbrite-unknown",
                day=_local_day(payload.get("created"), zone),
                currency=currency,
                gross=gross,
                fees=max(fees, Decimal(0)),
                tax=max(tax, Decimal(0)),
                refunds=[(_local_day(moment, zone), amount) for moment, amount in refunds],
            )
        )
    return items


def _sheet_tickets(tables: Tables, named: Mapping[str, SheetEvent]) -> tuple[list[Ticket], list[Extra]]:
    tickets: dict[str, Ticket] = {}
    for row in kept(tables, "tickets", "ticket_id"):
        event = named.get(row["event_id"])
        status = _lower(row["status"]) or "valid"
        status = "cancelled" if status == "canceled" else status
        price = _number(row["price_paid"])
        ticket = tickets[row["ticket_id"]] = Ticket(
            key=f"sheets-{row['ticket_id']}",
            event=event.key if event else "sheets-unknown",
            status=status if status in SHEET_STATUSES else "unknown",
            is_seat=True,
            is_free=price == 0 and status != "unpaid",
            channel=fold(row["channel"]),
            day=_day(as_moment(row["purchase_datetime"])),
            currency=_upper(row["currency"]) or (event.currency if event else None),
            buyer=("sheets", row["customer_id"]),
        )
        if status != "unpaid":
            ticket.gross = price or Decimal(0)
    extras = []
    for row in kept(tables, "refunds", "refund_id"):
        entry = (_day(as_moment(row["refunded_at"])), _number(row["refund_amount"]) or Decimal(0))
        if row["ticket_id"] in tickets:
            if tickets[row["ticket_id"]].status != "unpaid":
                tickets[row["ticket_id"]].refunds.append(entry)
            continue
        event = named.get(row["event_id"])
        extras.append(
            Extra(
                event=event.key if event else "sheets-unknown",
                day=None,
                currency=event.currency if event else None,
                refunds=[entry],
            )
        )
    return list(tickets.values()), extras


def _campaigns(tables: Tables, meant: Callable[[str | None], str | None]) -> list[Row]:
    campaigns = []
    for record in records(tables, "campaign").values():
        campaigns.append(
            {
                "event": meant(record.text("event_id")) or "airtable-unknown",
                "channel": fold(record.text("channel")) or "unknown",
                "spend": _number(record.text("spend_amount")),
                "impressions": _whole(record.text("impressions")),
                "clicks": _whole(record.text("clicks")),
                "start": record.day("start_date"),
                "end": record.day("end_date"),
            }
        )
    for row in kept(tables, "campaigns", "campaign_id"):
        campaigns.append(
            {
                "event": meant(row["event_id"]) or "sheets-unknown",
                "channel": fold(row["channel"]) or "unknown",
                "spend": _number(row["spend"]),
                "impressions": _whole(row["impressions"]),
                "clicks": _whole(row["clicks"]),
                "start": _day(as_moment(row["start_date"])),
                "end": _day(as_moment(row["end_date"])),
            }
        )
    return campaigns


def _scanned(tables: Tables) -> set[str]:
    """Keys of tickets with a check-in."""
    scanned = {f"sheets-{row['ticket_id']}" for row in kept(tables, "checkins", "checkin_id")}
    for row in tables["bronze_eventbrite.attendees"]:
        payload = json.loads(row["payload"])
        if payload.get("checked_in") or _lower(payload.get("status")) == "checked in":
            scanned.add(f"eventbrite-{row['id']}")
    return scanned


# The marts


def event_money(silver: Silver) -> dict[tuple[str, str | None], Row]:
    marts: dict[tuple[str, str | None], Row] = {}
    for entry in (*silver.tickets, *silver.extras):
        row = marts.setdefault((entry.event, entry.currency), {**_no_money(), "tickets_recorded": 0})
        row["gross_revenue"] += entry.gross
        row["fees_amount"] += entry.fees
        row["tax_amount"] += entry.tax
        row["refunds_amount"] += entry.refunded
        row["tickets_recorded"] += isinstance(entry, Ticket)
    return {key: _net(row) for key, row in marts.items()}


def event_sales(silver: Silver, money: Mapping[tuple[str, str | None], Row]) -> dict[str, Row]:
    marts = {}
    for event in silver.events.values():
        tickets = [ticket for ticket in silver.tickets if ticket.event == event.key]
        sold = sum(ticket.is_sold for ticket in tickets)
        attendance = sum(ticket.is_sold and ticket.is_scanned for ticket in tickets)
        tracked = any(ticket.is_scanned for ticket in tickets)
        votes = Counter(ticket.currency for ticket in tickets if ticket.currency)
        others = {currency for key, currency in money if key == event.key and currency}
        currency = event.currency
        if currency is None and (votes or others):
            currency = min(votes or others, key=lambda code: (-votes[code], code))
        held = money.get((event.key, currency), _net(_no_money()))
        marts[event.key] = {
            "event_name": event.name,
            "status": event.status,
            "event_date": event.day,
            "capacity": event.capacity,
            "capacity_source": event.capacity_source,
            "tickets_sold": sold,
            "tickets_free": sum(ticket.is_sold and ticket.is_free for ticket in tickets),
            "attendance": attendance,
            "is_checkin_tracked": tracked,
            "no_show_rate": (
                1 - attendance / sold
                if event.has_ended and not event.is_cancelled and tracked and sold
                else None
            ),
            "sell_through": sold / event.capacity if event.capacity else None,
            "currency": currency,
            **{name: value for name, value in held.items() if name != "tickets_recorded"},
        }
    return marts


def daily_metrics(silver: Silver) -> dict[tuple[date | None, str | None], Row]:
    """Every day from the first to the last of any activity, in every currency that has any; what has no day
    apart, and only where it is not nothing."""
    days: dict[tuple[date | None, str | None], Row] = {}

    def add(day: date | None, currency: str | None, **amounts: Any) -> None:
        if not any(amounts.values()):
            return
        if day is not None and not 1990 <= day.year <= 2100:
            day = None
        row = days.setdefault((day, currency), {**_no_money(), "tickets_sold": 0})
        for name, amount in amounts.items():
            row[name] += amount

    for entry in (*silver.tickets, *silver.extras):
        add(
            entry.day,
            entry.currency,
            tickets_sold=int(isinstance(entry, Ticket) and entry.is_sold),
            gross_revenue=entry.gross,
            fees_amount=entry.fees,
            tax_amount=entry.tax,
        )
        for day, amount in entry.refunds:
            add(day, entry.currency, refunds_amount=amount)

    dated = [day for day, _ in days if day is not None]
    marts = {key: row for key, row in days.items() if key[0] is None}
    for currency in {currency for _, currency in days} if dated else ():
        for offset in range((max(dated) - min(dated)).days + 1):
            day = min(dated) + timedelta(days=offset)
            marts[day, currency] = days.get((day, currency), {**_no_money(), "tickets_sold": 0})
            week = [marts.get((day - timedelta(days=back), currency)) for back in range(7)]
            marts[day, currency]["gross_revenue_7d_mean"] = (
                (sum(each["gross_revenue"] for each in week if each) / 7).quantize(CENT)
                if all(week)
                else None
            )
    return {key: _net(row) for key, row in marts.items()}


def sales_pace(silver: Silver, sales: Mapping[str, Row], today: date) -> dict[tuple[str, int | None], Row]:
    """Every day from the first of any activity to the last, and at least to the event or today; what has no
    day, or no event's day to count to, apart."""
    marts: dict[tuple[str, int | None], Row] = {}
    for event in silver.events.values():
        days: dict[date | None, Row] = {}

        def add(day: date | None, column: str, amount: Any, event: Event = event, days: Any = days) -> None:
            if amount:
                row = days.setdefault(_usable(day) if _usable(event.day) else None, _no_pace())
                row[column] += amount

        for entry in (*silver.tickets, *silver.extras):
            if entry.event != event.key:
                continue
            is_own = entry.currency == sales[event.key]["currency"]
            add(entry.day, "tickets_sold", int(isinstance(entry, Ticket) and entry.is_sold))
            by_day: dict[date | None, Decimal] = defaultdict(Decimal)
            add(entry.day, "gross_revenue", entry.gross if is_own else 0)
            for day, amount in entry.refunds:
                by_day[day] += amount
            for day, amount in by_day.items():
                add(day, "refunds_amount", amount if is_own else 0)
        if None in days:
            marts[event.key, None] = {**days.pop(None), "tickets_sold_to_date": None, "date": None}
        if not days or event.day is None:
            continue
        last = max(*days, min(event.day, today))
        so_far = _no_pace()
        for offset in range((last - min(days)).days + 1):
            day = min(days) + timedelta(days=offset)
            row = days.get(day, _no_pace())
            so_far = {name: so_far[name] + row[name] for name in so_far}
            marts[event.key, (event.day - day).days] = {
                "date": day,
                "currency": sales[event.key]["currency"],
                "capacity": event.capacity,
                **row,
                **{f"{name}_to_date": amount for name, amount in so_far.items()},
            }
    return marts


def _no_pace() -> Row:
    return {"tickets_sold": 0, "gross_revenue": Decimal(0), "refunds_amount": Decimal(0)}


def _usable(day: date | None) -> date | None:
    return day if day is not None and 1990 <= day.year <= 2100 else None


def dim_customer(silver: Silver) -> dict[str, Row]:
    """Who ordered or is a sheet's customer; guests are not."""
    marts = {}
    for key, members in silver.people.items():
        if all(id.startswith("attendee-") for source, id in members if source == "eventbrite") and not any(
            source == "sheets" for source, _ in members
        ):
            continue
        bought = [
            ticket for ticket in silver.tickets if ticket.buyer in members and ticket.status != "unpaid"
        ]
        days = [day for ticket in bought if (day := _usable(ticket.day))]
        marts[hashlib.md5(key.encode()).hexdigest()] = {
            "source": members[0][0],
            "first_purchase_date": min(days, default=None),
            "last_purchase_date": max(days, default=None),
            "tickets_bought": len(bought),
            "tickets_sold": sum(ticket.is_sold for ticket in bought),
            "events_bought": len({ticket.event for ticket in bought}),
        }
    return marts


def campaign_roi(silver: Silver, sales: Mapping[str, Row]) -> dict[tuple[str, str], Row]:
    marts: dict[tuple[str, str], Row] = {}
    for key in silver.events:
        marts[key, "unattributed"] = {"spend": Decimal(0), "conv_tickets": 0, "conv_revenue": Decimal(0)}
    for campaign in silver.campaigns:
        row = marts.setdefault(
            (campaign["event"], campaign["channel"]),
            {
                "spend": None,
                "impressions": None,
                "clicks": None,
                "conv_tickets": 0,
                "conv_revenue": Decimal(0),
            },
        )
        for name in ("spend", "impressions", "clicks"):
            if campaign[name] is not None:
                row[name] = (row.get(name) or 0) + campaign[name]
    for entry in (*silver.tickets, *silver.extras):
        is_won = isinstance(entry, Ticket) and any(
            (campaign["event"], campaign["channel"]) == (entry.event, entry.channel)
            and entry.day is not None
            and (campaign["start"] is None or campaign["start"] <= entry.day)
            and (campaign["end"] is None or entry.day <= campaign["end"])
            for campaign in silver.campaigns
        )
        channel = entry.channel if is_won else "unattributed"
        row = marts[entry.event, channel]
        row["conv_tickets"] += isinstance(entry, Ticket) and entry.is_sold
        if entry.currency == sales[entry.event]["currency"]:
            row["conv_revenue"] += entry.gross - entry.refunded
    for (key, channel), row in marts.items():
        spend, sold = row["spend"], row["conv_tickets"]
        is_rated = channel != "unattributed" and spend is not None
        row["cpa"] = float(spend) / sold if is_rated and sold else None
        row["roi"] = float((row["conv_revenue"] - spend) / spend) if is_rated and spend else None
        row["currency"] = sales[key]["currency"]
    return marts


def _no_money() -> Row:
    names = ("gross_revenue", "refunds_amount", "fees_amount", "tax_amount")
    return dict.fromkeys(names, Decimal(0))


def _net(row: Row) -> Row:
    row["net_revenue"] = row["gross_revenue"] - row["refunds_amount"] - row["fees_amount"] - row["tax_amount"]
    return row


# Cells and fields


def _exponents() -> dict[str, int]:
    with SEED.open(encoding="utf-8") as lines:
        return {row["currency"]: int(row["exponent"]) for row in DictReader(lines)}


EXPONENTS = _exponents()


def major(minor: int, currency: str | None) -> Decimal:
    return (Decimal(minor) / 10 ** EXPONENTS.get(currency or "", 2)).quantize(CENT)


def fold(text: str | None) -> str | None:
    """Lower case, every run of what is no letter or digit one space."""
    return " ".join("".join(each if each.isalnum() else " " for each in (text or "").lower()).split()) or None


def _present(text: Any) -> str | None:
    return str(text).strip(" ") or None if text is not None else None


def _lower(text: Any) -> str | None:
    return text.lower() if (text := _present(text)) else None


def _upper(text: Any) -> str | None:
    return text.upper() if (text := _present(text)) else None


def kept(tables: Tables, sheet: str, key: str) -> list[Row]:
    """The sheet's rows that count: with a key, and the last of each; cells without surrounding blanks."""
    last: dict[str, Row] = {}
    for row in sorted(tables[f"bronze_sheets.{sheet}"], key=lambda row: row["_record"]):
        cells = {name: value if name.startswith("_") else _present(value) for name, value in row.items()}
        if cells[key] is not None:
            last[cells[key]] = cells
    return list(last.values())


def _number(text: str | None) -> Decimal | None:
    """A plain decimal, perhaps with a currency sign and thousands commas in their places."""
    if text is None or not re.fullmatch(
        r"-?\s*[$€£¥]?\s*-?(\d{1,3}(,\d{3})+|\d+)(\.\d*)?|[+-]?\.\d+|\+\d+(\.\d*)?", text
    ):
        return None
    return Decimal(re.sub(r"[$€£¥,\s]", "", text)).quantize(CENT, ROUND_HALF_UP)


def _whole(text: str | None) -> int | None:
    is_whole = text and re.fullmatch(r"[+-]?(\d{1,18}|\d{1,3}(,\d{3}){1,5})", text)
    return int(text.replace(",", "")) if text and is_whole else None


def as_moment(text: str | None) -> datetime | None:
    """ISO 8601 as written; a trailing zone says where the clock hung, not what it showed."""
    if text is None or not re.match(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _local_day(moment: str | datetime | None, zone: str) -> date | None:
    """The day a UTC moment fell on where the event is."""
    if isinstance(moment, str):
        moment = as_moment(moment)
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date() if moment else None
