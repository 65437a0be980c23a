"""The invented account: the same every time, in the API's shape, and its truth adds up."""

import copy
import json
import re
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from sandbox.generator import EXPONENT, KINDS, World, evolve, generate

UNPAID = ("pending", "unpaid", "abandoned", "started")
COSTS = ("base_price", "eventbrite_fee", "payment_fee", "tax")


@pytest.fixture(scope="module")
def world() -> World:
    return generate()


@pytest.fixture(scope="module")
def later() -> tuple[World, list]:
    world = generate(seed=7)
    return world, [evolve(world, day) for day in range(3)]


def major(money: dict) -> Decimal:
    return Decimal(money["value"]).scaleb(-EXPONENT.get(money["currency"], 2))


def processed(order: dict) -> Decimal:
    requests = order["refund_requests"]
    items = [
        item
        for request in ([requests] if isinstance(requests, dict) else requests)
        for item in request["items"]
        if item["status"] == "processed"
    ]
    return sum((major(item["amount_processed"]) for item in items), Decimal(0))


def kept_money(world: World) -> dict[str, Decimal]:
    """By event: what buyers paid and did not get back, as the objects have it now."""
    tickets: dict[str, Decimal] = defaultdict(Decimal)
    for attendee in world.objects["attendees"]:
        tickets[attendee["order_id"]] += major(attendee["costs"]["gross"])
    kept: dict[str, Decimal] = defaultdict(Decimal)
    for order in world.objects["orders"]:
        if order["status"].lower() not in UNPAID:
            kept[order["event_id"]] += max(major(order["costs"]["gross"]), tickets[order["id"]])
    return kept


def valid_seats(world: World) -> dict[str, list[dict]]:
    category = {item["id"]: item["category"] for item in world.objects["ticket_classes"]}
    unpaid = {item["id"] for item in world.objects["orders"] if item["status"].lower() in UNPAID}
    seats = defaultdict(list)
    for item in world.objects["attendees"]:
        is_here = item["status"] in ("Attending", "Checked In", "Guests Attending")
        is_counted = is_here and not item["cancelled"] and item["order_id"] not in unpaid
        if is_counted and category[item["ticket_class_id"]] == "admission":
            seats[item["event_id"]].append(item)
    return seats


def recount(world: World) -> None:
    """Count again from the objects, by other means than the tally."""
    seats, kept = valid_seats(world), kept_money(world)
    for key, event in world.truth["events"].items():
        tickets = seats[key.partition("-")[2]]
        assert event["tickets_sold"] == len(tickets), key
        assert event["attendance"] == sum(item["checked_in"] for item in tickets), key
        gross, refunds = Decimal(event["gross_revenue"]), Decimal(event["refunds_amount"])
        assert gross - refunds == kept[key.partition("-")[2]], key
        assert Decimal(event["net_revenue"]) == gross - refunds - Decimal(event["fees_amount"]) - Decimal(
            event["tax_amount"]
        )


def test_a_seed_always_gives_the_same_world(world):
    again, other = generate(), generate(seed=1)
    assert json.dumps(again.objects) == json.dumps(world.objects)
    assert json.dumps(again.truth) == json.dumps(world.truth)
    assert json.dumps(other.objects) != json.dumps(world.objects)


def test_it_has_what_was_asked_for(world):
    assert set(world.objects) == set(KINDS)
    assert len(world.objects["attendees"]) == 3000
    assert len(world.objects["events"]) > 50
    assert len(generate(attendees=40).objects["attendees"]) == 40


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("user", "questions")])
def test_ids_are_unique_text(world, kind):
    ids = [item["id"] for item in world.objects[kind]]
    assert len(ids) == len(set(ids))
    assert all(isinstance(key, str) for key in ids)


def test_rows_hang_together(world):
    objects = world.objects
    ids = {kind: {item["id"] for item in objects[kind]} for kind in KINDS}
    parents = {item["id"] for item in objects["events"] if item["is_series_parent"]}
    assert all(order["event_id"] in ids["events"] - parents for order in objects["orders"])
    event_of = {order["id"]: order["event_id"] for order in objects["orders"]}
    for attendee in objects["attendees"]:
        assert event_of[attendee["order_id"]] == attendee["event_id"]
        assert attendee["ticket_class_id"] in ids["ticket_classes"]
    for event in objects["events"]:
        assert event["venue_id"] is None or event["venue_id"] in ids["venues"]
        assert not event["online_event"] or event["venue_id"] is None
        assert event.get("series_id") is None or event["series_id"] in parents
    assert set(world.owners["venues"]) == ids["venues"]
    assert set(world.owners["discounts"]) == ids["discounts"]


def test_costs_add_up_in_minor_units(world):
    for kind in ("orders", "attendees"):
        for item in world.objects[kind]:
            costs = item["costs"]
            assert costs["gross"]["value"] == sum(costs[name]["value"] for name in COSTS)
            for money in (costs["gross"], costs["base_price"]):
                assert Decimal(money["major_value"]) == major(money)
                assert len(money["major_value"].partition(".")[2]) == EXPONENT.get(money["currency"], 2)


def test_nothing_has_happened_in_the_future(world):
    now = world.as_of.strftime("%Y-%m-%dT%H:%M:%SZ")
    for kind in ("orders", "attendees"):
        for item in world.objects[kind]:
            assert item["created"] <= item["changed"] <= now
    for order in world.objects["orders"]:
        for request in order["refund_requests"] if isinstance(order["refund_requests"], list) else []:
            for item in request["items"]:
                assert order["created"] < item.get("processed_date", order["changed"]) <= order["changed"]


def test_an_order_and_its_tickets_are_bought_on_one_local_day(world):
    zone = {item["id"]: ZoneInfo(item["start"]["timezone"]) for item in world.objects["events"]}
    created = {item["id"]: item["created"] for item in world.objects["orders"]}

    def day(text: str, event: str):
        return (
            datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).astimezone(zone[event]).date()
        )

    other_day_than_utc = 0
    for item in world.objects["attendees"]:
        local = day(item["created"], item["event_id"])
        assert local == day(created[item["order_id"]], item["event_id"])
        other_day_than_utc += str(local) != item["created"][:10]
    assert other_day_than_utc > 200


ATTENDEE = (
    "id resource_uri created changed event_id order_id ticket_class_id ticket_class_name variant_id quantity "
    "status checked_in cancelled refunded profile answers barcodes costs team affiliate"
    " guestlist_id invited_by delivery_method"
)
ORDER = (
    "id resource_uri created changed name first_name last_name email status event_id time_remaining costs "
    "refund_requests"
)
EVENT = (
    "id resource_uri name summary description url start end created changed published organization_id "
    "organizer_id venue_id logo_id status currency capacity capacity_is_custom listed shareable "
    "invite_only online_event tx_time_limit locale privacy_setting is_free inventory_type is_series "
    "is_series_parent source version"
)
TICKET_CLASS = (
    "id event_id name display_name category sorting free donation cost fee tax actual_cost actual_fee "
    "capacity quantity_total quantity_sold sales_start sales_end on_sale_status include_fee sales_channels "
    "resource_uri"
)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [("attendees", ATTENDEE), ("orders", ORDER), ("events", EVENT), ("ticket_classes", TICKET_CLASS)],
)
def test_most_objects_have_every_key_and_some_have_not(world, kind, keys):
    wanted = set(keys.split())
    whole = [wanted <= set(item) for item in world.objects[kind]]
    assert sum(whole) > 0.9 * len(whole)
    assert kind in ("orders", "ticket_classes") or not all(whole)


def find(world: World, kind: str, test) -> int:
    return sum(bool(test(item)) for item in world.objects[kind])


def requests(order: dict) -> list[dict]:
    return (
        order["refund_requests"] if isinstance(order["refund_requests"], list) else [order["refund_requests"]]
    )


AWKWARD = {
    "canceled event": ("events", lambda item: item["status"] == "canceled"),
    "draft": ("events", lambda item: item["status"] == "draft"),
    "running event": ("events", lambda item: item["status"] == "started" and not item["is_series_parent"]),
    "series parent": ("events", lambda item: item["is_series_parent"]),
    "series child": ("events", lambda item: "series_id" in item),
    "online event": ("events", lambda item: item["online_event"]),
    "event without a place": ("events", lambda item: not item["venue_id"] and not item["online_event"]),
    "own capacity": ("events", lambda item: item["capacity_is_custom"]),
    "capacity null": ("events", lambda item: item.get("capacity", 1) is None),
    "capacity zero": ("events", lambda item: item.get("capacity") == 0),
    "capacity absent": ("events", lambda item: "capacity" not in item),
    "currency absent": ("events", lambda item: "currency" not in item),
    "yen": ("events", lambda item: item.get("currency") == "JPY"),
    "dinar": ("events", lambda item: item.get("currency") == "KWD"),
    "address null": ("venues", lambda item: item["address"] is None),
    "area only": ("venues", lambda item: item["address"] and "address_1" not in item["address"]),
    "free class": ("ticket_classes", lambda item: item["free"] and item["cost"] is None),
    "donation": ("ticket_classes", lambda item: item["donation"] and item["capacity"] is None),
    "add-on": ("ticket_classes", lambda item: item["category"] == "add_on"),
    "unlimited admission": (
        "ticket_classes",
        lambda item: item["category"] == "admission" and item["capacity"] is None,
    ),
    "abandoned": ("orders", lambda item: item["status"] == "abandoned"),
    "pending": ("orders", lambda item: item["status"] == "pending"),
    "shouted status": ("orders", lambda item: item["status"] == "PLACED"),
    "refund as object": ("orders", lambda item: isinstance(item["refund_requests"], dict)),
    "two refunds": ("orders", lambda item: len(item["refund_requests"]) == 2 and requests(item)),
    "refund denied": ("orders", lambda item: any(one["status"] == "denied" for one in requests(item))),
    "refund in error": (
        "orders",
        lambda item: any(part["status"] == "error" for one in requests(item) for part in one["items"]),
    ),
    "merchandise refund": (
        "orders",
        lambda item: any(
            part["item_type"] == "merchandise" for one in requests(item) for part in one["items"]
        ),
    ),
    "promo code": ("orders", lambda item: item.get("promo_code")),
    "promo code of a ticket": ("attendees", lambda item: item.get("promotional_code")),
    "refunded, attending": (
        "attendees",
        lambda item: item["refunded"] and item["status"] in ("Attending", "Checked In"),
    ),
    "cancelled, scanned": ("attendees", lambda item: item["cancelled"] and item["checked_in"]),
    "deleted": ("attendees", lambda item: item["status"] == "Deleted"),
    "unpaid": ("attendees", lambda item: item["status"] == "Unpaid"),
    "unknown status": ("attendees", lambda item: item["status"] in ("Pre-Registered", "Seat Relocated")),
    "placeholder": ("attendees", lambda item: item["profile"].get("name") == "Info Requested"),
    "empty profile": ("attendees", lambda item: item["profile"] == {}),
    "blank profile": ("attendees", lambda item: item["profile"].get("name") == ""),
    "answer as object": (
        "attendees",
        lambda item: any(isinstance(one.get("answer"), dict) for one in item.get("answers", [])),
    ),
    "no answer": ("attendees", lambda item: any("answer" not in one for one in item.get("answers", []))),
    "unknown key": ("attendees", lambda item: "royalty" in item["costs"]),
    "name outside ASCII": ("attendees", lambda item: not item["profile"].get("name", "").isascii()),
    "Eventbrite's affiliate": ("attendees", lambda item: item.get("affiliate") == "oddtdtcreator"),
    "own affiliate": ("attendees", lambda item: item.get("affiliate") == "Radio Aurora"),
}


@pytest.mark.parametrize("what", AWKWARD)
def test_every_awkward_thing_is_there(world, what):
    kind, test = AWKWARD[what]
    assert find(world, kind, test) > 0


def test_many_attendees_share_one_second(world):
    assert max(Counter(item["changed"] for item in world.objects["attendees"]).values()) > 30


def test_truth_is_what_a_recount_finds(world):
    recount(world)


def test_truth_of_fees_taxes_and_free_tickets_is_what_a_recount_finds(world):
    unpaid = {item["id"] for item in world.objects["orders"] if item["status"].lower() in UNPAID}
    fees: dict[str, Decimal] = defaultdict(Decimal)
    tax: dict[str, Decimal] = defaultdict(Decimal)
    for item in world.objects["attendees"]:
        if item["order_id"] not in unpaid:
            costs = item["costs"]
            fees[item["event_id"]] += major(costs["eventbrite_fee"]) + major(costs["payment_fee"])
            tax[item["event_id"]] += major(costs["tax"])
    seats = valid_seats(world)
    for key, event in world.truth["events"].items():
        short = key.partition("-")[2]
        assert Decimal(event["fees_amount"]) == fees[short]
        assert Decimal(event["tax_amount"]) == tax[short]
        free = [item for item in seats[short] if not item["costs"]["gross"]["value"] and not item["refunded"]]
        assert event["tickets_free"] == len(free)


def test_truth_of_days_and_channels_is_what_a_recount_finds(world):
    event_of = {item["id"]: item for item in world.objects["events"]}
    days: Counter[str] = Counter()
    channels: Counter[tuple[str, str]] = Counter()
    for key, tickets in valid_seats(world).items():
        zone = ZoneInfo(event_of[key]["start"]["timezone"])
        for item in tickets:
            days[str(datetime.fromisoformat(item["created"]).astimezone(zone).date())] += 1
            affiliate = item.get("affiliate") or ""
            own = "" if affiliate.startswith(("ebd", "odd")) else affiliate
            code = item.get("promotional_code", {}).get("code", own)
            channels[key, re.sub(r"[^a-z0-9]+", " ", code.lower()) or "none"] += 1
    truth = world.truth
    assert {
        day: sum(row["tickets_sold"] for row in rows.values()) for day, rows in truth["daily"].items()
    } == {day: days[day] for day in truth["daily"]}
    found = {
        (key.partition("-")[2], channel): row["tickets"]
        for key, rows in truth["channels"].items()
        for channel, row in rows.items()
        if row["tickets"]
    }
    assert found == dict(channels)


def test_truth_of_refunds_is_what_was_processed(world):
    amounts: dict[str, Decimal] = defaultdict(Decimal)
    for order in world.objects["orders"]:
        amounts[order["event_id"]] += processed(order)
    for key, event in world.truth["events"].items():
        assert Decimal(event["refunds_amount"]) == amounts[key.partition("-")[2]], key


def test_truth_adds_up_by_day_channel_and_currency(world):
    truth = world.truth
    gross: dict[str, Decimal] = defaultdict(Decimal)
    refunds: dict[str, Decimal] = defaultdict(Decimal)
    for day in truth["daily"].values():
        for currency, row in day.items():
            gross[currency] += Decimal(row["gross_revenue"])
            refunds[currency] += Decimal(row["refunds_amount"])
    for currency, row in truth["currencies"].items():
        assert Decimal(row["gross_revenue"]) == gross[currency]
        assert Decimal(row["refunds_amount"]) == refunds[currency]
    for key, channels in truth["channels"].items():
        event = truth["events"][key]
        assert sum(row["tickets"] for row in channels.values()) == event["tickets_sold"]
        earned = sum(Decimal(row["revenue"]) for row in channels.values())
        assert earned == Decimal(event["gross_revenue"]) - Decimal(event["refunds_amount"])


def test_figures_look_like_a_box_office(world):
    events = world.truth["events"].values()
    through = sorted(item["sell_through"] for item in events if item["sell_through"])
    assert through[0] < 0.4
    assert 1 < through[-1] < 1.25
    rates = [item["no_show_rate"] for item in events if item["no_show_rate"] is not None]
    assert len(rates) > 25
    assert 0.08 < sum(rates) / len(rates) < 0.25


def test_a_running_event_has_no_rate_until_it_has_ended(world):
    running = [
        key
        for key, item in world.truth["events"].items()
        if item["status"] == "started" and item["attendance"]
    ]
    assert running
    later = world.truth_at(datetime(2027, 1, 1, tzinfo=UTC))
    assert all(world.truth["events"][key]["no_show_rate"] is None for key in running)
    assert all(later["events"][key]["no_show_rate"] is not None for key in running)


def test_a_later_day_adds_up_too(later):
    world, days = later
    recount(world)
    assert all(change.changed["orders"] and change.changed["attendees"] for change in days)
    assert all(change.vanished["attendees"] for change in days)


def test_a_later_day_changes_only_what_it_says():
    world = generate(attendees=1500)
    before = {kind: copy.deepcopy(items) for kind, items in world.objects.items()}
    held = {kind: list(items) for kind, items in world.objects.items()}
    since = world.as_of.strftime("%Y-%m-%dT%H:%M:%SZ")
    change = evolve(world, 1)
    assert held == before  # what was handed out is left alone
    for kind in KINDS:
        if kind == "questions":
            continue
        told = {item["id"] for item in change.changed[kind]} | set(change.vanished.get(kind, []))
        old = {item["id"]: item for item in before[kind]}
        new = {item["id"]: item for item in world.objects[kind]}
        assert told == {key for key in old | new if old.get(key) != new.get(key)}
    for kind in ("orders", "attendees"):
        assert all(item["changed"] > since for item in change.changed[kind])


def test_a_later_day_is_the_same_every_time():
    one, two = generate(attendees=500), generate(attendees=500)
    assert json.dumps(evolve(one, 3).changed) == json.dumps(evolve(two, 3).changed)
    assert json.dumps(one.truth) == json.dumps(two.truth)


def test_gross_stays_when_money_goes_back():
    world = generate(attendees=1500)
    before = world.truth["currencies"]
    evolve(world, 5)
    after = world.truth["currencies"]
    assert sum(Decimal(row["refunds_amount"]) for row in after.values()) > sum(
        Decimal(row["refunds_amount"]) for row in before.values()
    )
    assert all(
        Decimal(after[name]["gross_revenue"]) >= Decimal(row["gross_revenue"]) for name, row in before.items()
    )


def test_it_is_quick(record_property):
    start = time.perf_counter()
    generate(attendees=5000)
    record_property("seconds_for_5000_attendees", round(time.perf_counter() - start, 2))
