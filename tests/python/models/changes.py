"""What a day can bring. Each change takes the world, a source of chance, and the time it lands."""

import json
from datetime import datetime
from random import Random
from typing import Any

from tests.python.models import wild
from tests.python.models.bronze import Bronze, Row, costs


def a_day(world: Bronze, random: Random, now: datetime) -> None:
    """A quiet day or a wild one."""
    for change in random.choices(CHANGES, k=random.choice([1, 6, 30])):
        change(world, random, now)


def new_order(world: Bronze, random: Random, now: datetime) -> None:
    number = 5000 + len(world.tables["bronze_eventbrite.orders"]) * 7
    tickets = [f"9{number}{place}" for place in range(random.choice([1, 2, 4]))]
    event = random.choice(["800", "801", "802", "808", "899"])
    wild._order(world, random, f"{number}", event, tickets, ["300", "301", "302", None, "399"])


def changed_attendee(world: Bronze, random: Random, now: datetime) -> None:
    pick = random.choice
    rows = world.tables["bronze_eventbrite.attendees"]
    said: Row = pick(
        [
            {"costs": costs(pick([0, 1, 700, 9000]), pick(wild.CURRENCIES), fee=pick([0, 30]))},
            {"refunded": True, "status": "Not Attending", "costs": costs(0)},
            {"cancelled": True},
            {"status": pick(wild.ONLINE_STATUSES)},
            {"checked_in": True, "status": "Checked In"},
            {"profile": {"name": pick(["Ann", "Info Requested", None]), "email": pick(wild.EMAILS)}},
            {"profile": pick(wild.PROFILES)},
            {"order_id": pick(["1000", "1001", "1002", "1999", None])},
            {"event_id": pick(["800", "801", "808", "899"])},
            {"ticket_class_id": pick(["300", "301", "305", "399", None])},
            {"affiliate": pick(wild.AFFILIATES)},
        ]
    )
    change_payload(world, "attendees", pick(rows), now, **said)


def changed_order(world: Bronze, random: Random, now: datetime) -> None:
    pick = random.choice
    processed = {"amount_processed": pick([1, 500, 2500]), "processed_date": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    said: Row = pick(
        [
            {"costs": costs(pick([0, 300, 12000]), pick(wild.CURRENCIES))},
            {"refund_requests": {"items": [{"status": "processed", **processed}]}},
            {"status": pick(wild.ORDER_STATUSES)},
            {"email": pick(wild.EMAILS), "name": pick(["Kim", "Info Requested"])},
            {"promo_code": pick(wild.CHANNELS)},
            {"event_id": pick(["800", "801", "899"])},
        ]
    )
    change_payload(world, "orders", pick(world.tables["bronze_eventbrite.orders"]), now, **said)


def changed_event(world: Bronze, random: Random, now: datetime) -> None:
    pick = random.choice
    said: Row = pick(
        [
            {"currency": pick([*wild.CURRENCIES, None])},
            {"start": {"timezone": pick(wild.ZONES), "local": "2026-02-10T19:00:00"}},
            {"is_series_parent": pick([True, False])},
            {"name": {"text": pick(["Gala", None])}, "status": "canceled"},
        ]
    )
    change_payload(world, "events", pick(world.tables["bronze_eventbrite.events"]), now, **said)


def changed_class(world: Bronze, random: Random, now: datetime) -> None:
    pick = random.choice
    said: Row = pick(
        [
            {"category": pick(["admission", "add_on", "donation"])},
            {"name": pick(["Seat", "Gift", None])},
            {"event_id": pick(["800", "808"])},
        ]
    )
    change_payload(
        world, "ticket_classes", pick(world.tables["bronze_eventbrite.ticket_classes"]), now, **said
    )


def new_class_or_event(world: Bronze, random: Random, now: datetime) -> None:
    """What tickets and orders named before it was listed."""
    if random.random() < 0.5:
        world.event("899", currency=random.choice(wild.CURRENCIES))
    else:
        world.ticket_class("399", "800", category="add_on")


def vanished_or_back(world: Bronze, random: Random, now: datetime) -> None:
    table = random.choice(["attendees", "orders", "events", "ticket_classes"])
    row = random.choice(world.tables[f"bronze_eventbrite.{table}"])
    row["missing_since"] = None if row.get("missing_since") else now.replace(tzinfo=None)
    row["landed_at"] = now.replace(tzinfo=None)


def as_it_was(world: Bronze, random: Random, now: datetime) -> None:
    """An earlier version of an object is today's again."""
    kind = random.choice(["attendees", "orders"])
    version = random.choice(world.tables[f"bronze_eventbrite.{kind}_history"])
    for row in world.tables[f"bronze_eventbrite.{kind}"]:
        if row["id"] == version["id"]:
            said = json.loads(version["payload"])
            row.update({name: version[name] for name in ("payload", "payload_hash", "changed")})
            row.update({name: said.get(name) for name in ("event_id", "order_id") if name in row})


def changed_sheets(world: Bronze, random: Random, now: datetime) -> None:
    pick = random.choice
    name = pick(["customers", "customers", "tickets", "checkins", "refunds", "events"])
    rows = world.tables[f"bronze_sheets.{name}"]
    if random.random() < 0.3:
        del rows[pick(range(len(rows)))]
    elif name == "customers":
        pick(rows).update(pick([{"email": pick(wild.EMAILS)}, {"name": "Other"}, {"customer_id": "P9"}]))
    else:
        rows[:] = [dict(pick(rows)) for _ in rows]
    for place, row in enumerate(rows, 1):
        row.update(_record=place, _line=place + 1)


CHANGES = [
    *[new_order, changed_attendee, changed_attendee, changed_attendee, changed_order, changed_order],
    *[changed_event, changed_class, new_class_or_event, vanished_or_back, as_it_was, changed_sheets],
]


def change_payload(world: Bronze, kind: str, row: Row, now: datetime, **said: Any) -> None:
    """The object says something else now; of orders and attendees the earlier version stays in history."""
    payload = {**json.loads(row["payload"]), **said}
    if "changed" in payload:
        payload["changed"] = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    names = ("event_id", "order_id", "venue_id", "series_id", "organization_id")
    columns = {name: payload.get(name) for name in names if name in row}
    missing = row["missing_since"].isoformat() if row.get("missing_since") else None
    world._hold(kind, payload, columns, missing, payload.get("changed"), now.isoformat())
