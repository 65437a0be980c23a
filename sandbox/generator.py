"""An invented Eventbrite account, object by object in the wire shape, with the truth about it.

`generate` makes the account as a first pull meets it; `evolve` makes a later day of it. The same
arguments give the same world, byte for byte. Every trap of the API's data is in it: statuses, series, online
and unplaced events, free and unlimited classes, currencies without minor units, refunds in every
state, unpaid orders, transfers, placeholders, unknown statuses and keys, absent keys beside null ones.

Objects are never changed once made: `evolve` puts new ones in their place. Equal amounts of money share one
dict, so treat what is here as read-only.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from sandbox import words
from sandbox.truth import ONE, Tally, fold

Json = dict[str, Any]
API = "https://www.eventbriteapi.com/v3"
AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = (
    "user",
    "organizations",
    "events",
    "venues",
    "ticket_classes",
    "orders",
    "attendees",
    "questions",
    "discounts",
)
EXPONENT = {"JPY": 0, "KWD": 3}  # all others here have 2
SIGN = {"USD": "$", "GBP": "£", "EUR": "€", "JPY": "¥", "NZD": "NZ$"}
DEFAULT_AFFILIATES = ("oddtdtcreator", "ebdssbdestsearch", "ebdssbcitybrowse")
AFFILIATES = ("newsletter", "Radio Aurora", "insta_story", "street-team")
HOUR, DAY = 3600, 86_400


@dataclass
class World:
    """`objects` by kind. What the wire shape does not say: `owners[kind][id]` is the organization of a
    venue or discount. A question's event is in its resource_uri, its id is unique only per event."""

    seed: int
    as_of: datetime
    objects: dict[str, list[Json]]
    owners: dict[str, dict[str, str]]
    tally: Tally = field(repr=False)
    _shows: list["_Show"] = field(repr=False, default_factory=list)
    _kept: dict[str, dict[str, Json]] = field(repr=False, default_factory=dict)
    _next_id: dict[str, int] = field(repr=False, default_factory=dict)

    @property
    def truth(self) -> Json:
        """What gold must show at `as_of`, for somebody who has seen every day of this world so far."""
        return self.tally.truth(self.as_of)

    def truth_at(self, as_of: datetime) -> Json:
        return self.tally.truth(as_of)


@dataclass
class Changes:
    """A later day: `changed` holds the new and altered objects by kind, `vanished` the ids that are gone
    (a full listing no longer has them; nothing else tells)."""

    as_of: datetime
    changed: dict[str, list[Json]]
    vanished: dict[str, list[str]]


@dataclass
class _Class:
    id: str
    name: str
    category: str
    price: int  # minor units
    is_free: bool
    capacity: int | None
    weight: float
    sold: int = 0


@dataclass
class _Ticket:
    """One attendee as the tally has it. Amounts in minor units."""

    id: str
    channel: str | None
    sold_day: str
    is_seat: bool
    costs: "_Costs"  # on the wire now
    is_valid: bool = True
    is_attended: bool = False
    is_free: bool = False


@dataclass
class _Order:
    id: str
    case: str
    tickets: list[_Ticket]
    costs: "_Costs"  # on the wire now


@dataclass
class _Show:
    """An event that can sell."""

    id: str
    key: str
    organization: str
    currency: str
    zone: str
    start: int
    end: int
    on_sale: int
    classes: list[_Class]
    codes: list[tuple[str, int, str]]  # code, percent, discount id
    tax_percent: int
    is_tracked: bool
    show_rate: float
    questions: list[Json]
    bulk_at: int = 0  # all its attendees were touched in this second
    orders: list[_Order] = field(default_factory=list)

    @property
    def scale(self) -> int:
        """Ten-thousandths of a major unit in one minor unit."""
        return ONE // 10 ** EXPONENT.get(self.currency, 2)


@cache
def _day_text(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, tz=UTC).strftime("%Y-%m-%d")


def utc(moment: int) -> str:
    day, second = divmod(moment, DAY)
    return f"{_day_text(day)}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


@cache
def _offset(zone: str, quarter: int) -> int:
    """Seconds east of UTC during a quarter of an hour: no zone changes its clock inside one."""
    moment = datetime.fromtimestamp(quarter * 900, tz=UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return int(moment.total_seconds()) if moment else 0


def local(moment: int, zone: str) -> str:
    return utc(moment + _offset(zone, moment // 900))[:-1]


def local_day(moment: int, zone: str) -> str:
    return _day_text((moment + _offset(zone, moment // 900)) // DAY)


@cache
def money(currency: str, value: int) -> Json:
    exponent = EXPONENT.get(currency, 2)
    if exponent:
        whole, part = divmod(abs(value), 10**exponent)
        major = f"{'-' if value < 0 else ''}{whole}.{part:0{exponent}d}"
        shown = f"{whole:,}.{part:0{exponent}d}"
    else:
        major, shown = str(value), f"{abs(value):,}"
    return {
        "currency": currency,
        "value": value,
        "major_value": major,
        "display": f"{SIGN.get(currency, currency + ' ')}{shown}",
    }


@dataclass(slots=True)
class _Costs:
    """Minor units. gross is their sum, on the wire too."""

    base: int = 0
    fee: int = 0
    payment: int = 0
    tax: int = 0

    @property
    def gross(self) -> int:
        return self.base + self.fee + self.payment + self.tax

    def wire(self, currency: str) -> Json:
        return {
            "base_price": money(currency, self.base),
            "eventbrite_fee": money(currency, self.fee),
            "payment_fee": money(currency, self.payment),
            "tax": money(currency, self.tax),
            "gross": money(currency, self.gross),
        }

    def lowered(self, amount: int) -> "_Costs":
        """Less `amount`, taken from the price first, then the tax, then the fees."""
        base = min(self.base, amount)
        tax = min(self.tax, amount - base)
        payment = min(self.payment, amount - base - tax)
        fee = min(self.fee, amount - base - tax - payment)
        return _Costs(self.base - base, self.fee - fee, self.payment - payment, self.tax - tax)

    def __add__(self, other: "_Costs") -> "_Costs":
        return _Costs(
            self.base + other.base, self.fee + other.fee, self.payment + other.payment, self.tax + other.tax
        )


# How an order came out. Those without a weight are dealt out in turn, so that even a small world has each.
PLAIN = "plain"
CASES: dict[str, float] = {
    PLAIN: 0.80,
    "cheque_pending": 0.02,
    "refund_all": 0.025,
    "refund_one": 0.025,
    "refund_part_attending": 0.01,
    "transferred": 0.02,
    "cancelled": 0.02,
    "placeholder": 0.03,
    "each_named": 0.05,
    "abandoned": 0.0,
    "started": 0.0,
    "refund_all_object": 0.0,
    "refund_keeps_fees": 0.0,
    "refund_order_level": 0.0,
    "refund_two_steps": 0.0,
    "refund_pending": 0.0,
    "refund_denied": 0.0,
    "refund_error": 0.0,
    "refund_unsettled": 0.0,
    "cancelled_unsettled": 0.0,
    "cancelled_scanned": 0.0,
    "deleted_one": 0.0,
    "deleted_order": 0.0,
    "unknown_status": 0.0,
    "merchandise": 0.0,
    "merchandise_refunded": 0.0,
    "order_short": 0.0,
    "blank_profile": 0.0,
    "sparse": 0.0,
    "extra_keys": 0.0,
    "loud_status": 0.0,
}
_DEALT = [case for case, weight in CASES.items() if not weight]
_DRAWN = [case for case, weight in CASES.items() if weight]
_WEIGHTS = [weight for weight in CASES.values() if weight]


def generate(
    seed: int = 2026,
    *,
    attendees: int = 3000,
    as_of: datetime = AS_OF,
    events: int | None = None,
) -> World:
    """An account with `attendees` tickets (two to an order) and at least 60 events, as it is at `as_of`."""
    world = World(
        seed=seed,
        as_of=as_of,
        objects={},
        owners={"venues": {}, "discounts": {}},
        tally=Tally(),
        _kept={kind: {} for kind in KINDS},
        _next_id={
            "venues": 5000001,
            "events": 800000000010,
            "ticket_classes": 300000001,
            "orders": 10000000001,
            "attendees": 20000000001,
            "questions": 40000001,
            "discounts": 401,
        },
    )
    maker = _Maker(world, Random(seed), int(as_of.timestamp()))
    maker.account()
    maker.calendar(attendees, events or max(72, 64 + attendees // 400))
    maker.finish()
    return world


def evolve(world: World, seed: int, *, days: int = 1, vanish: bool = True) -> Changes:
    """Let `days` pass in `world`: its objects, truth and as_of move on; the objects that differ are returned.

    The truth afterwards is that of somebody who pulled the world before and after. With `vanish` one attendee
    and one draft disappear: who has not listed everything since cannot know that attendee is gone.
    """
    since = int(world.as_of.timestamp())
    world.as_of += timedelta(days=days)
    maker = _Maker(world, Random(seed), int(world.as_of.timestamp()))
    maker.later(since, vanish)
    maker.finish()
    return Changes(
        as_of=world.as_of,
        changed={
            kind: [world._kept[kind][key] for key in keys if key in world._kept[kind]]
            for kind, keys in maker.touched.items()
        },
        vanished=maker.gone,
    )


class _Maker:
    def __init__(self, world: World, rng: Random, now: int) -> None:
        self.world, self.rng, self.now, self.tally = world, rng, now, world.tally
        self.touched: dict[str, dict[str, None]] = {kind: {} for kind in KINDS}
        self.gone: dict[str, list[str]] = {"attendees": [], "events": []}
        self.dealt: list[str] = []
        self.organizations = ("700000000001", "700000000002")

    # -- bookkeeping

    def new_id(self, kind: str, step: int = 1) -> str:
        number = self.world._next_id[kind]
        self.world._next_id[kind] = number + step
        return str(number)

    def keep(self, kind: str, item: Json, key: str | None = None) -> None:
        key = key or item["id"]
        self.world._kept[kind][key] = item
        self.touched[kind][key] = None

    def change(self, kind: str, key: str, **values: Any) -> None:
        self.keep(kind, {**self.world._kept[kind][key], **values}, key)

    def drop(self, kind: str, key: str) -> None:
        del self.world._kept[kind][key]
        self.gone[kind].append(key)

    def finish(self) -> None:
        for show in self.world._shows:
            for item in show.classes:
                kept = self.world._kept["ticket_classes"][item.id]
                if kept["quantity_sold"] != item.sold:
                    is_full = item.capacity is not None and item.sold >= item.capacity
                    status = (
                        "SOLD_OUT" if is_full else "AVAILABLE" if self.now < show.start else "UNAVAILABLE"
                    )
                    self.change("ticket_classes", item.id, quantity_sold=item.sold, on_sale_status=status)
        self.world.objects = {kind: list(self.world._kept[kind].values()) for kind in KINDS}

    # -- the account and its calendar

    def account(self) -> None:
        self.keep(
            "user",
            {
                "id": "900000000001",
                "name": "Ana Example",
                "first_name": "Ana",
                "last_name": "Example",
                "emails": [{"email": "ana@example.org", "verified": True, "primary": True}],
                "is_public": False,
                "image_id": None,
            },
        )
        # One creation time with Z and one without: both have been seen.
        for key, name, created in (
            (self.organizations[0], "Lantern Hall Productions", "2020-01-05T10:00:00Z"),
            (self.organizations[1], "Kleines Haus Berlin", "2023-06-17T08:30:00"),
        ):
            self.keep(
                "organizations",
                {
                    "_type": "organization",
                    "id": key,
                    "name": name,
                    "vertical": "default",
                    "parent_id": None,
                    "locale": "en_US",
                    "created": created,
                    "image_id": None,
                },
            )

    def venue(self, city: int, organization: str, capacity: int | None = None, address: str = "full") -> str:
        key, rng = self.new_id("venues"), self.rng
        town, region, country, _, latitude, longitude = words.CITIES[city]
        street, code = (
            f"{rng.randrange(1, 400)} {rng.choice(words.STREETS)}",
            f"{rng.randrange(10000, 99999)}",
        )
        where: Json | None = {
            "address_1": street,
            "address_2": None,
            "city": town,
            "region": region,
            "postal_code": code,
            "country": country,
            "latitude": latitude,
            "longitude": longitude,
            "localized_address_display": f"{street}, {town}, {region} {code}",
            "localized_area_display": f"{town}, {region}",
            "localized_multi_line_address_display": [street, f"{town}, {region} {code}"],
        }
        if address == "null":
            where = None
        elif address == "area":  # a private venue: the area only
            where = {"city": town, "country": country, "localized_area_display": f"{town}, {region}"}
        name = words.place(rng)
        self.tally.venue(
            f"eventbrite-{key}", name=name, city=where["city"] if where else None, capacity=capacity
        )
        self.keep(
            "venues",
            {
                "id": key,
                "name": name,
                "capacity": capacity,
                "age_restriction": None,
                "latitude": latitude if address == "full" else "0",
                "longitude": longitude if address == "full" else "0",
                "resource_uri": f"{API}/venues/{key}/",
                "address": where,
            },
        )
        self.world.owners["venues"][key] = organization
        return key

    def calendar(self, attendees: int, count: int) -> None:
        """Every kind of event once, then ordinary ones until there are `count`."""
        first, second = self.organizations
        rng = self.rng
        venues = {
            city: [self.venue(city, first), self.venue(city, first, 150)] for city in range(len(words.CITIES))
        }
        venues[0] += [
            self.venue(0, first, 0),
            self.venue(0, first, address="null"),
            self.venue(0, first, address="area"),
        ]
        berlin = self.venue(5, second, 80)
        # (traits, city, days until it starts)
        plans: list[tuple[set[str], int, float]] = [
            ({"free"}, 0, -40.2),
            ({"free"}, 4, 25.3),
            (set(), 6, -20.4),
            (set(), 6, 30.1),
            (set(), 7, -60.3),
            ({"no_capacity"}, 7, 12.2),
            ({"online"}, 0, -15.1),
            ({"unplaced"}, 1, 45.0),
            ({"draft"}, 2, 60.0),
            ({"draft", "bare"}, 0, 90.0),
            ({"draft", "bare"}, 4, 75.0),
            ({"canceled"}, 0, -10.3),
            ({"canceled"}, 4, 20.0),
            ({"running", "always_tracked"}, 4, -0.05),
            ({"soon", "always_tracked"}, 0, 0.3),
            ({"unlimited", "no_capacity", "small_hall"}, 2, -33.1),
            ({"unlimited", "no_capacity", "no_hall_capacity"}, 2, -34.1),
            ({"unlimited", "zero_capacity", "no_hall_capacity"}, 3, -70.4),
            ({"unlimited"}, 1, -71.4),
            ({"no_capacity"}, 1, -25.2),
            ({"absent_capacity"}, 5, -26.2),
            ({"custom_capacity"}, 4, -50.2),
            ({"no_currency"}, 8, -45.1),
            ({"untracked"}, 0, -80.1),
            ({"bulk"}, 0, -30.1),
            ({"unsold"}, 5, -55.1),
            ({"addons", "donation"}, 0, -21.3),
            ({"addons", "donation"}, 4, 15.3),
            ({"oversold"}, 1, -66.2),
            ({"second"}, 5, -18.2),
            ({"second"}, 5, 22.2),
            ({"second", "free"}, 5, -3.2),
        ]
        series = [(2, -49.3), (4, -15.6)]
        while len(plans) < count - 5 * len(series):
            past = rng.random() < 0.62
            when = rng.uniform(-330, -2) if past else rng.uniform(2, 150)
            traits = {"addons"} if rng.random() < 0.1 else {"free"} if rng.random() < 0.06 else set()
            if past and rng.random() < 0.08:
                traits.add("untracked")
            plans.append((traits, rng.choice((0, 0, 1, 2, 3, 4, 4, 5, 6, 8)), when))
        shows: list[tuple[set[str], int, float, str | None]] = [(*plan, None) for plan in plans]
        for city, when in series:
            parent = self.new_id("events", 10)
            shows.append(({"parent"}, city, when, parent))
            shows += [({"child"}, city, when + 14 * week, parent) for week in range(4)]

        selling = [not traits & {"draft", "unsold", "parent"} for traits, _, _, _ in shows]
        weights = [rng.uniform(0.5, 1.6) if sells else 0.0 for sells in selling]
        targets = [int(attendees * weight / sum(weights)) for weight in weights]
        for place in [place for place, sells in enumerate(selling) if sells][: attendees - sum(targets)]:
            targets[place] += 1
        for (traits, city, when, series_id), target in zip(shows, targets, strict=True):
            organization = second if "second" in traits else first
            venue = berlin if organization == second else rng.choice(venues[city][:2])
            if city == 0 and organization == first and rng.random() < 0.4:
                venue = rng.choice(venues[0])
            if "small_hall" in traits:
                venue = venues[city][1]
            if "no_hall_capacity" in traits:
                venue = venues[city][0]
            show = self.event(traits, city, when, series_id, organization, venue, target)
            if show and target:
                self.sell(show, target)

    def event(
        self,
        traits: set[str],
        city: int,
        when: float,
        series_id: str | None,
        organization: str,
        venue: str,
        target: int,
    ) -> _Show | None:
        """Make an event with its classes, codes and questions; a _Show comes back if it can sell."""
        rng, now = self.rng, self.now
        is_parent = "parent" in traits
        key = series_id if is_parent and series_id else self.new_id("events", 10)
        _, _, country, zone, _, _ = words.CITIES[city]
        currency = words.CURRENCY_OF[country]
        start = int(now + when * DAY)
        if (
            "running" not in traits and "soon" not in traits
        ):  # a full hour, in the evening where it takes place
            evening = rng.choice((10, 17, 18, 19, 19, 20, 20, 21)) * HOUR
            start = start - (start + _offset(zone, start // 900)) % DAY + evening
            if abs(start - now) < DAY // 2:
                start += DAY if when > 0 else -DAY
        end = start + rng.choice((2, 3, 3, 4)) * HOUR + (6 * 7 * DAY if is_parent else 0)
        is_draft, is_canceled = "draft" in traits, "canceled" in traits
        on_sale = start - rng.randrange(60, 110) * DAY
        if on_sale > now - 10 * DAY:
            on_sale = now - rng.randrange(10, 30) * DAY
        fill = rng.uniform(0.35, 1.05) if when < 0 else rng.uniform(0.15, 0.75)
        if "oversold" in traits:
            fill = 1.18
        seats = max(6, round(target / fill)) if target else rng.randrange(40, 200)
        classes = self.classes(key, traits, currency, seats, start, on_sale)
        listed = [item.capacity for item in classes if item.category == "admission"]
        total = sum(number or 0 for number in listed) if listed and all(listed) else None

        own = total
        if "custom_capacity" in traits:
            own = seats - 3
        if traits & {"no_capacity", "absent_capacity"}:
            own = None
        if "zero_capacity" in traits:
            own = 0
        if "unlimited" in traits and not traits & {"no_capacity", "zero_capacity"}:
            own = seats
        is_placed = not traits & {"online", "unplaced"}
        has_currency = "no_currency" not in traits

        if is_draft:
            status = "draft"
        elif is_canceled:
            status = "canceled"
        elif is_parent or start <= now < end:
            status = "started"
        elif start > now:
            status = "live"
        else:
            status = rng.choice(("ended", "completed", "completed"))
        name = words.show(rng) + rng.choice(("", "", "", " — Encore", " №2", " & Friends"))
        item: Json = {
            "id": key,
            "resource_uri": f"{API}/events/{key}/",
            "name": {"text": name, "html": name.replace("&", "&amp;")},
            "summary": "An evening out",
            "description": {"text": "An evening out", "html": "An evening out"},
            "url": f"https://www.eventbrite.com/e/{words.slug(name)}-tickets-{key}",
            "start": {"timezone": zone, "local": local(start, zone), "utc": utc(start)},
            "end": {"timezone": zone, "local": local(end, zone), "utc": utc(end)},
            "created": utc(on_sale - 9 * DAY),
            "changed": utc(on_sale + HOUR),
            "published": None if is_draft else utc(on_sale),
            "organization_id": organization,
            "organizer_id": "600000000002",
            "venue_id": venue if is_placed else None,
            "logo_id": None,
            "logo": None,
            "category_id": "103",
            "subcategory_id": None,
            "format_id": "6",
            "status": status,
            "currency": currency,
            "capacity": own,
            "capacity_is_custom": "custom_capacity" in traits,
            "listed": True,
            "shareable": True,
            "invite_only": False,
            "online_event": "online" in traits,
            "show_remaining": False,
            "hide_start_date": False,
            "hide_end_date": False,
            "tx_time_limit": 1200,
            "locale": "en_US",
            "is_locked": False,
            "privacy_setting": "unlocked",
            "is_free": all(entry.is_free for entry in classes),
            "inventory_type": "limited",
            "is_series": bool(series_id),
            "is_series_parent": is_parent,
            "is_reserved_seating": False,
            "show_pick_a_seat": False,
            "show_seatmap_thumbnail": False,
            "show_colors_in_seatmap_thumbnail": False,
            "is_externally_ticketed": False,
            "source": "coyote",
            "version": None,
            "facebook_event_id": None,
        }
        if series_id and not is_parent:
            item["series_id"] = series_id
        if "absent_capacity" in traits:
            del item["capacity"]
        if not has_currency:
            del item["currency"]
        if "bulk" in traits:
            item["a_key_nobody_told_us_about"] = {"since": 2026}
        self.keep("events", item)
        if is_parent:
            return None

        self.tally.event(
            f"eventbrite-{key}",
            name=name,
            status=status,
            currency=currency if has_currency else None,
            capacity=own or total,
            over_after=end,
            is_cancelled=is_canceled,
            venue=f"eventbrite-{venue}" if is_placed else None,
        )
        if is_draft:
            return None
        show = _Show(
            id=key,
            key=f"eventbrite-{key}",
            organization=organization,
            currency=currency,
            zone=zone,
            start=start,
            end=end,
            on_sale=on_sale,
            classes=classes,
            codes=self.codes(key, organization, zone, on_sale, classes),
            tax_percent=rng.choice((0, 0, 8)),
            is_tracked="always_tracked" in traits or (not is_canceled and "untracked" not in traits),
            show_rate=rng.uniform(0.75, 0.95),
            questions=self.questions(key, classes),
            bulk_at=start + 2 * DAY if "bulk" in traits else 0,
        )
        self.world._shows.append(show)
        return show

    def classes(
        self, event: str, traits: set[str], currency: str, seats: int, start: int, on_sale: int
    ) -> list[_Class]:
        rng = self.rng
        if "bare" in traits:
            return []
        unit = 10 ** EXPONENT.get(currency, 2)
        # 12 to 60 of a dollar-sized unit; yen are about a hundred and dinars a third to the dollar
        price = round(rng.randrange(12, 60) * {"JPY": 100, "KWD": 0.5}.get(currency, 1) * unit)
        vip = max(1, seats // 6)
        # name, category, price, capacity, weight
        plan: list[tuple[str, str, int, int | None, float]]
        if "free" in traits:
            plan = [("Free entry", "admission", 0, seats, 1.0)]
        else:
            plan = [
                ("General", "admission", price, seats - vip, 0.8),
                ("VIP", "admission", price * 2, vip, 0.15),
            ]
            if rng.random() < 0.15 and seats > 12:
                guests = max(1, seats // 12)
                plan[0] = ("General", "admission", price, seats - vip - guests, 0.75)
                plan.append(("Guest list", "admission", 0, guests, 0.07))
        if "unlimited" in traits:
            name, category, cost, _, weight = plan[0]
            plan[0] = (name, category, cost, None, weight)
        if "addons" in traits:
            plan.append(("Parking", "add_on", max(1, price // 4), 30, 0.0))
            plan.append(("Programme booklet", "add_on", max(1, price // 6), None, 0.0))
        if "donation" in traits:
            plan.append(("Support us", "donation", 0, None, 0.0))

        made = []
        for sorting, (name, category, cost, capacity, weight) in enumerate(plan, 1):
            key = self.new_id("ticket_classes")
            is_donation = category == "donation"
            is_free = cost == 0 and not is_donation
            fee = 0 if is_free or is_donation else _fee(currency, cost)
            priced = None if is_free or is_donation else money(currency, cost)
            charged = None if is_free or is_donation else money(currency, fee)
            self.keep(
                "ticket_classes",
                {
                    "id": key,
                    "event_id": event,
                    "name": name,
                    "display_name": name,
                    "description": None,
                    "category": category,
                    "sorting": sorting,
                    "free": is_free,
                    "donation": is_donation,
                    "cost": priced,
                    "fee": charged,
                    "tax": priced and money(currency, 0),
                    "actual_cost": None,
                    "actual_fee": charged,
                    "capacity": capacity,
                    "quantity_total": capacity or 0,
                    "quantity_sold": 0,
                    "minimum_quantity": 1,
                    "maximum_quantity": 10,
                    "maximum_quantity_per_order": 10,
                    "sales_start": utc(on_sale),
                    "sales_end": utc(start),
                    "sales_end_relative": None,
                    "on_sale_status": "AVAILABLE" if self.now < start else "UNAVAILABLE",
                    "hidden": name == "Guest list",
                    "hidden_currently": False,
                    "auto_hide": False,
                    "include_fee": False,
                    "split_fee": False,
                    "hide_description": True,
                    "hide_sale_dates": False,
                    "delivery_methods": ["electronic"],
                    "sales_channels": ["online", "atd"],
                    "has_pdf_ticket": True,
                    "order_confirmation_message": None,
                    "secondary_assignment_enabled": False,
                    "image_id": None,
                    "payment_constraints": [],
                    "resource_uri": f"{API}/events/{event}/ticket_classes/{key}/",
                },
            )
            made.append(_Class(key, name, category, cost, is_free, capacity, weight))
        return made

    def codes(
        self, event: str, organization: str, zone: str, on_sale: int, classes: list[_Class]
    ) -> list[tuple[str, int, str]]:
        rng, made = self.rng, []
        for name in rng.sample(("EARLY", "Friends", "RADIO-FM", "student_week"), rng.choice((0, 1, 2))):
            percent = rng.choice((10, 20, 25, 30))
            key = self.new_id("discounts")
            code = name if name != "EARLY" else f"{name}{percent}"
            made.append((code, percent, key))
            self.keep(
                "discounts",
                {
                    "id": key,
                    "type": "coded",
                    "code": code,
                    "amount_off": None,
                    "percent_off": f"{percent}.00",
                    "event_id": event,
                    "ticket_class_ids": [entry.id for entry in classes if entry.category == "admission"],
                    "quantity_available": rng.choice((0, 50)),
                    "quantity_sold": 0,
                    "start_date": local(on_sale, zone),
                    "start_date_relative": None,
                    "end_date": None,
                    "end_date_relative": None,
                    "ticket_group_id": None,
                    "hold_ids": None,
                },
            )
            self.world.owners["discounts"][key] = organization
        return made

    def questions(self, event: str, classes: list[_Class]) -> list[Json]:
        rng = self.rng
        wanted = rng.sample(("meal", "home", "note"), rng.choice((0, 0, 1, 2)))
        made = []
        for sorting, what in enumerate(wanted, 5):
            # A standard question has a word for an id, the same in every event.
            key = "home" if what == "home" else self.new_id("questions")
            text = {"meal": "Meal?", "home": "Home Address", "note": "Anything we should know?"}[what]
            choices = [
                {
                    "id": str(41 + place),
                    "answer": {"text": meal, "html": meal},
                    "quantity_available": 250,
                    "quantity_sold": 5,
                    "low_stock": 250,
                    "subquestion_ids": [],
                }
                for place, meal in enumerate(("Vegan", "Fish", "Anything"))
            ]
            item: Json = {
                "id": key,
                "question": {"text": text, "html": text},
                "type": {"meal": "radio", "home": "text", "note": "paragraph"}[what],
                "required": what == "meal",
                "respondent": "ticket_buyer" if what == "note" else "attendee",
                "display_answer_on_order": True,
                "sorting": sorting,
                "parent_id": None,
                "parent_choice_id": None,
                "choices": choices if what == "meal" else [],
                "ticket_classes": [{"id": entry.id, "name": entry.name} for entry in classes],
                "resource_uri": f"{API}/events/{event}/questions/{key}/",
            }
            if what == "home":
                item |= {
                    "include": True,
                    "editable": True,
                    "group_id": "contact_information",
                    "default_value": "",
                }
            self.keep("questions", item, f"{event}/{key}")
            made.append(item)
        return made

    # -- a later day

    def later(self, since: int, vanish: bool) -> None:
        rng, now = self.rng, self.now
        shows = self.world._shows
        sold = sum(len(show.orders) for show in shows)
        self.clock(since)
        known = [(show, order) for show in shows for order in show.orders]
        rng.shuffle(known)

        selling = [
            show for show in shows if show.on_sale < now and show.start > since + 4 * HOUR and show.classes
        ]
        selling = [show for show in selling if self.world._kept["events"][show.id]["status"] != "canceled"]
        for _ in range(max(8, sold // 150)):
            show = rng.choice(selling)
            last = min(show.start, now) - 2 * HOUR
            self.order(
                show,
                rng.choice((PLAIN, PLAIN, PLAIN, "each_named", "cheque_pending")),
                rng.randrange(since, last),
                4,
            )

        waiting = [pair for pair in known if pair[1].case == "cheque_pending"]
        for show, order in waiting[: max(2, sold // 1000)]:
            self.pay(show, order, rng.randrange(since + 60, now - 60))
        again = [pair for pair in known if pair[1].case in _MORE_TO_REFUND]
        for how, (show, order) in zip(("asked", "silent", "asked_part", "asked"), again, strict=False):
            # An older request beside a silent refund would leave open which day the money went back.
            has_request = self.world._kept["orders"][order.id]["refund_requests"]
            how = "asked" if how == "silent" and has_request else how
            self.refund(show, order, how, rng.randrange(since + 60, now - 60))
        plain = iter([pair for pair in known if pair[1].case == PLAIN and pair[1].costs.gross])
        for _ in range(max(2, sold // 600)):
            refunds = zip(
                ("asked", "asked_part", "asked_order", "silent", "silent_part"), plain, strict=False
            )
            for how, (show, order) in refunds:
                self.refund(show, order, how, rng.randrange(since + 60, now - 60))
            for what, (show, order) in zip(("cancel", "transfer", "address"), plain, strict=False):
                self.touch(show, order, what, rng.randrange(since + 60, now - 60))
        self.doors(since)
        if vanish:
            for show, order in [pair for pair in known if pair[1].case == PLAIN][:1]:
                ticket = order.tickets[0]
                order.case = "later_vanished"
                self.invalidate(show, ticket)
                self.drop("attendees", ticket.id)
                order.tickets.remove(ticket)
            bare = [key for key, item in self.world._kept["events"].items() if item["status"] == "draft"]
            if len(bare) > 1:
                self.drop("events", bare[-1])
                self.tally.events[f"eventbrite-{bare[-1]}"].is_deleted = True

    def clock(self, since: int) -> None:
        """Events start and end by themselves, and `changed` does not move."""
        for show in self.world._shows:
            status = self.world._kept["events"][show.id]["status"]
            if status in ("live", "started"):
                status_now = (
                    "live" if self.now < show.start else "started" if self.now < show.end else "ended"
                )
                if status_now != status:
                    self.change("events", show.id, status=status_now)
                    self.tally.events[show.key].status = status_now

    def doors(self, since: int) -> None:
        """Scans at the doors of what began since, or was still running."""
        for show in self.world._shows:
            if not show.is_tracked or show.end < since or show.start - 1800 > self.now:
                continue
            for order in show.orders:
                for ticket in order.tickets:
                    if not ticket.is_valid or ticket.is_attended:
                        continue
                    when = self.scan_time(show)
                    if when <= since:
                        continue
                    ticket.is_attended = True
                    self.tally.events[show.key].is_scanned = True
                    if ticket.is_seat:
                        self.tally.ticket(
                            show.key, ticket.sold_day, show.currency, ticket.channel, attended=1
                        )
                    kept = self.world._kept["attendees"][ticket.id]
                    barcode = {
                        **kept["barcodes"][0],
                        "status": "used",
                        "checkin_type": 1,
                        "checkin_method": "scan",
                        "changed": utc(when),
                    }
                    self.change(
                        "attendees",
                        ticket.id,
                        checked_in=True,
                        status="Checked In" if kept["status"] == "Attending" else kept["status"],
                        barcodes=[barcode],
                        changed=max(kept["changed"], utc(when)),
                    )

    def pay(self, show: _Show, order: _Order, when: int) -> None:
        """The cheque arrived: only now is it revenue, on the day it was bought."""
        order.case = "cheque_paid"
        self.change("orders", order.id, status="placed", changed=utc(when))
        for ticket in order.tickets:
            ticket.is_valid = True
            ticket.is_free = ticket.is_seat and not ticket.costs.gross
            scale, costs = show.scale, ticket.costs
            self.tally.ticket(
                show.key,
                ticket.sold_day,
                show.currency,
                ticket.channel,
                sold=int(ticket.is_seat),
                free=int(ticket.is_free),
                gross=costs.gross * scale,
                fees=(costs.fee + costs.payment) * scale,
                tax=costs.tax * scale,
            )
            self.change("attendees", ticket.id, status="Attending", changed=utc(when))

    def invalidate(self, show: _Show, ticket: _Ticket) -> None:
        """Out of the count; the money stays until it is refunded."""
        if not ticket.is_valid:
            return
        self.tally.ticket(
            show.key,
            ticket.sold_day,
            show.currency,
            ticket.channel,
            sold=-int(ticket.is_seat),
            free=-int(ticket.is_free),
            attended=-int(ticket.is_seat and ticket.is_attended),
        )
        ticket.is_valid = ticket.is_free = False

    def refund(self, show: _Show, order: _Order, how: str, when: int) -> None:
        """asked: a processed request says so; silent: only the lowered costs do.

        part: half of one ticket, which still attends; order: a third of each ticket, nobody flagged.
        """
        order.case = f"later_{how}"
        kept = self.world._kept["orders"][order.id]
        lowered = total = 0
        seen = when + 5
        for ticket in order.tickets:
            gross = ticket.costs.gross
            amount = gross // 3 if how == "asked_order" else gross // 2 if how.endswith("part") else gross
            if not amount or (how.endswith("part") and lowered):
                continue
            lowered += 1
            total += amount
            day = local_day(when if how.startswith("asked") else seen, show.zone)
            self.tally.refund(
                show.key, day, show.currency, ticket.channel, ticket.sold_day, amount * show.scale
            )
            ticket.costs = ticket.costs.lowered(amount)
            values: Json = {"costs": ticket.costs.wire(show.currency), "changed": utc(seen)}
            if how != "asked_order":
                values["refunded"] = True
            if how in ("asked", "silent"):
                values["status"] = "Not Attending"
                self.invalidate(show, ticket)
            self.change("attendees", ticket.id, **values)
        order.costs = order.costs.lowered(total)
        values = {"costs": _rich(order.costs, show.currency), "changed": utc(seen)}
        if how.startswith("asked"):
            item_type = "order" if how == "asked_order" else "attendee"
            old = kept["refund_requests"]
            values["refund_requests"] = [
                *([old] if isinstance(old, dict) else old),
                self.request(
                    show,
                    order.id,
                    (kept["first_name"], kept["email"]),
                    "completed",
                    "no_longer_able_to_attend",
                    [(item_type, total, when)],
                ),
            ]
        self.change("orders", order.id, **values)

    def touch(self, show: _Show, order: _Order, what: str, when: int) -> None:
        """One ticket cancelled with its money kept, given to somebody else, or with a new e-mail address."""
        order.case = f"later_{what}"
        ticket = order.tickets[0]
        profile = self.world._kept["attendees"][ticket.id]["profile"]
        values: Json = {"changed": utc(when)}
        if what == "cancel":
            values |= {"cancelled": True, "status": "Not Attending"}
            self.invalidate(show, ticket)
        elif what == "transfer":
            values["profile"] = _profile(words.person(self.rng))
        else:
            values["profile"] = {**profile, "email": f"new.{profile['email']}"}
        self.change("attendees", ticket.id, **values)

    # -- orders

    def next_case(self) -> str:
        """At every tenth order the rare cases in turn, else one by weight."""
        if self.rng.random() < 0.1:
            if not self.dealt:
                self.dealt = list(_DEALT)
                self.rng.shuffle(self.dealt)
            return self.dealt.pop()
        return self.rng.choices(_DRAWN, _WEIGHTS)[0]

    def sell(self, show: _Show, target: int) -> None:
        """Orders until the show has `target` attendees."""
        rng = self.rng
        last = min(show.start, self.now) - 3 * HOUR
        left = target
        while left:
            # most people buy late
            created = show.on_sale + int((last - show.on_sale) * rng.random() ** 0.6)
            left -= self.order(show, self.next_case(), created, left)

    def order(self, show: _Show, case: str, created: int, most: int) -> int:
        """One order of up to `most` attendees; how many it got. A case that cannot be here is a plain one."""
        rng, currency, zone, now = self.rng, show.currency, show.zone, self.now
        if local_day(created, zone) != local_day(created + 75, zone):
            created -= 150  # order and tickets were bought on one local day
        placed = created + 75
        sold_day = local_day(placed, zone)
        if placed + 2 * HOUR > now and case not in ("placeholder", "each_named"):
            case = PLAIN  # nothing can have happened to it yet
        order_id = self.new_id("orders")
        given, family, email = words.person(rng)
        if rng.random() < 0.05:
            email = email.title()

        if case in ("abandoned", "started"):
            costs = self.costs(show, show.classes[0].price, has_payment=True)
            self.keep_order(
                show,
                order_id,
                (given, family, email),
                created,
                min(created + 900, now),
                case,
                costs,
                time_remaining=0 if case == "abandoned" else 480,
            )
            return 0

        count = min(rng.choices((1, 2, 3, 4, 5, 6), (38, 36, 9, 10, 4, 3))[0], most)
        if case in ("refund_one", "deleted_one") and most > 1:
            count = max(count, 2)
        code = rng.choice(show.codes) if show.codes and rng.random() < 0.3 else None
        affiliate = rng.choice(AFFILIATES) if rng.random() < 0.25 else rng.choice((None, *DEFAULT_AFFILIATES))
        channel = fold(code[0]) if code else None if affiliate in DEFAULT_AFFILIATES else fold(affiliate)

        # What the tickets cost before anything happened to them.
        is_cheque = case == "cheque_pending"
        seats = [entry for entry in show.classes if entry.weight]
        extras = [entry for entry in show.classes if not entry.weight]
        weights = [entry.weight for entry in seats]
        lines: list[tuple[_Class, _Costs]] = []
        for place in range(count):
            if place and extras and rng.random() < 0.35:
                entry = rng.choice(extras)
                price = entry.price or rng.randrange(5, 50) * 10 ** EXPONENT.get(currency, 2)
            else:
                entry = rng.choices(seats, weights)[0]
                price = entry.price * (100 - code[1]) // 100 if code else entry.price
            lines.append((entry, self.costs(show, price, has_payment=not is_cheque)))
        gross = sum(costs.gross for _, costs in lines)
        needs_money = case.startswith(("refund", "cancelled_un", "order_short", "cheque"))
        if (needs_money and not all(costs.gross for _, costs in lines)) or (
            case in ("refund_one", "deleted_one") and count < 2
        ):
            case, is_cheque = PLAIN, False
        if case == "cancelled_scanned" and not (show.is_tracked and show.start + DAY < now):
            case = "cancelled"

        # What happened to them since.
        happened = rng.randrange(placed + HOUR, max(placed + HOUR + 1, now - 60))
        costs_now = [costs for _, costs in lines]
        victims = range(count) if "all" in case or case in _WHOLE_ORDER else range(1)
        amounts = [0] * count  # refunded by processed requests
        item_gross = item_refund = 0  # beyond the attendees
        order_status = "placed"
        requests: Any = []
        order_changed = placed
        ticket_changed = [placed] * count
        cancelled, refunded, statuses = [False] * count, [False] * count, ["Attending"] * count

        if case.startswith("refund_") or case == "merchandise_refunded":
            reason = rng.choice(("no_longer_able_to_attend", "duplicate_order", "event_postponed"))
            days = [(happened, 1.0)]
            if case == "refund_two_steps":
                days = [(max(placed + 60, happened - rng.randrange(2 * DAY)), 0.5), (happened, 1.0)]
            item_type = "attendee"
            if case in (
                "refund_all",
                "refund_one",
                "refund_all_object",
                "refund_two_steps",
                "refund_unsettled",
            ):
                amounts = [lines[place][1].gross if place in victims else 0 for place in range(count)]
            elif case == "refund_keeps_fees":
                amounts = [costs.base + costs.tax for _, costs in lines]
            elif case == "refund_part_attending":
                amounts[0] = max(1, lines[0][1].gross // 2)
            elif case == "refund_order_level":
                item_type = "order"
                amounts = [costs.gross // 3 for _, costs in lines]
            elif case == "merchandise_refunded":
                item_type = "merchandise"
                item_gross = item_refund = _goods(currency, 15)
            wanted = sum(amounts) or item_refund or gross

            if case in ("refund_pending", "refund_denied", "refund_error"):
                requests = [
                    self.request(
                        show, order_id, (given, email), case[7:], reason, [("attendee", wanted, None)]
                    )
                ]
            elif case != "refund_unsettled":
                requests, before = [], 0
                for when, share in days:
                    part = int(wanted * share) - before
                    before += part
                    pieces: list[tuple[str, int, int | None]] = [(item_type, part, when)]
                    if item_type == "attendee" and len(days) == 1:
                        pieces = [(item_type, amount, when) for amount in amounts if amount]
                    if case == "refund_one":  # one item of it went wrong, and moved nothing
                        pieces.append((item_type, 100, None))
                    requests.append(self.request(show, order_id, (given, email), "completed", reason, pieces))
                if case == "refund_all_object":
                    requests = requests[0]
                order_changed = happened + 5
            if case in _FLAGS_REFUNDED:
                for place in victims:
                    refunded[place] = True
                    if case != "refund_part_attending":
                        statuses[place] = "Not Attending"
                        cancelled[place] = case == "refund_one" and rng.random() < 0.5
            if case == "refund_all":
                order_status = rng.choice(("refunded", "placed"))
            if case not in ("refund_pending", "refund_denied", "refund_error", "merchandise_refunded"):
                order_changed = happened + 5
                for place, amount in enumerate(amounts):
                    if amount:
                        costs_now[place] = lines[place][1].lowered(amount)
                        ticket_changed[place] = happened + 5
        elif case == "cheque_pending":
            order_status = rng.choice(("pending", "pending", "unpaid", "UNPAID"))
            statuses = ["Unpaid"] * count
        elif case in ("cancelled", "cancelled_scanned", "cancelled_unsettled"):
            for place in victims:
                cancelled[place], statuses[place] = True, "Not Attending"
                ticket_changed[place] = happened
            order_changed = happened
            if case == "cancelled_unsettled":
                costs_now = [_Costs() for _ in lines]
            if len(victims) == count:
                order_status = rng.choice(("placed", "cancelled", "canceled"))
        elif case in ("deleted_one", "deleted_order"):
            for place in victims:
                statuses[place] = "Deleted"
                ticket_changed[place] = happened
            order_changed = happened
            if case == "deleted_order":
                order_status = "deleted"
        elif case == "unknown_status":
            statuses[0] = rng.choice(("Pre-Registered", "Seat Relocated"))
        elif case == "merchandise":
            item_gross = _goods(currency, 25)
        elif case == "loud_status":
            order_status = "PLACED"
            statuses = ["Guests Attending"] * count
        is_paid = case != "cheque_pending"

        # The order as it is now. Its costs are those of its tickets and of what else it holds.
        order_costs = _Costs()
        for costs in costs_now:
            order_costs = order_costs + costs
        order_costs.base += item_gross - item_refund
        if case == "order_short":
            order_costs.base -= 1
        if case == "refund_order_level":
            item_gross = item_refund = sum(amounts)
        scale = show.scale
        if is_paid and (item_gross or item_refund):
            self.tally.ticket(show.key, sold_day, currency, None, gross=item_gross * scale)
            self.tally.refund(
                show.key, local_day(happened, zone), currency, None, sold_day, item_refund * scale
            )
        order = _Order(order_id, case, [], order_costs)

        names = [(given, family, email)] * count
        if case == "each_named":
            names = [words.person(rng) for _ in range(count)]
        for place, (entry, _) in enumerate(lines):
            costs = costs_now[place]
            is_seat = entry.category == "admission"
            is_valid = (
                is_paid and not cancelled[place] and statuses[place] in ("Attending", "Guests Attending")
            )
            returned = 0 if case in ("refund_unsettled", "refund_order_level") else amounts[place]
            is_free = is_valid and is_seat and costs.gross + returned == 0
            status, changed = statuses[place], ticket_changed[place]
            person = names[place]
            if case == "transferred" and place == 0:
                person, changed = words.person(rng), happened
            scanned_at = 0
            if show.is_tracked and (is_valid or (case == "cancelled_scanned" and place == 0)):
                scanned_at = self.scan_time(show)
                if case == "cancelled_scanned" and not scanned_at:
                    scanned_at = show.start
            if scanned_at and is_valid and status == "Attending":
                status = "Checked In"
            ticket = _Ticket(
                id=self.new_id("attendees"),
                channel=channel,
                sold_day=sold_day,
                is_seat=is_seat,
                costs=costs,
                is_valid=is_valid,
                is_attended=bool(scanned_at),
                is_free=is_free,
            )
            order.tickets.append(ticket)
            if scanned_at:
                self.tally.events[show.key].is_scanned = True
            self.tally.ticket(
                show.key,
                sold_day,
                currency,
                channel,
                tickets=1,
                sold=int(is_valid and is_seat),
                free=int(is_free),
                attended=int(is_valid and is_seat and bool(scanned_at)),
                gross=(costs.gross + returned) * scale if is_paid else 0,
                fees=(costs.fee + costs.payment) * scale if is_paid else 0,
                tax=costs.tax * scale if is_paid else 0,
            )
            if returned and case == "refund_two_steps":
                first = int(wanted * days[0][1])
                for (when, _), amount in zip(days, (first, wanted - first), strict=True):
                    self.tally.refund(
                        show.key, local_day(when, zone), currency, channel, sold_day, amount * scale
                    )
            elif returned:
                self.tally.refund(
                    show.key, local_day(happened, zone), currency, channel, sold_day, returned * scale
                )
            if is_valid:
                entry.sold += 1
            self.keep_attendee(
                show,
                order,
                ticket,
                entry,
                person,
                placed,
                max(changed, scanned_at, show.bulk_at if show.bulk_at < now else 0),
                status=status,
                cancelled=cancelled[place],
                refunded=refunded[place],
                scanned_at=scanned_at,
                affiliate=affiliate,
                code=code if is_seat else None,
                case=case,
            )
        self.keep_order(
            show,
            order_id,
            (given, family, email),
            created,
            order_changed,
            order_status,
            order_costs,
            requests,
            code,
        )
        show.orders.append(order)
        return count

    def costs(self, show: _Show, price: int, *, has_payment: bool) -> _Costs:
        if not price:
            return _Costs()
        fee = _fee(show.currency, price)
        return _Costs(price, fee, price * 29 // 1000 if has_payment else 0, price * show.tax_percent // 100)

    def scan_time(self, show: _Show) -> int:
        """When this ticket was scanned: 0 for one who stayed away or is yet to come."""
        if show.start - 1800 >= self.now or self.rng.random() >= show.show_rate:
            return 0
        when = show.start + self.rng.randrange(-1800, 3600)
        return when if when < self.now else 0

    def request(
        self,
        show: _Show,
        order_id: str,
        buyer: tuple[str, str],
        status: str,
        reason: str,
        pieces: list[tuple[str, int, int | None]],
    ) -> Json:
        """pieces: item type, amount, when it was processed (None: it was not)."""
        items = []
        for item_type, amount, when in pieces:
            item: Json = {
                "event_id": show.id,
                "order_id": order_id,
                "item_type": item_type,
                "amount_requested": money(show.currency, amount),
                "quantity_requested": 1,
                "refund_reason_code": reason,
                "status": "error" if status in ("error", "completed") else "pending",
            }
            if when is not None:
                item |= {
                    "amount_processed": money(show.currency, amount),
                    "quantity_processed": 1,
                    "processed_date": utc(when),
                    "status": "processed",
                }
            items.append(item)
        return {
            "from_email": buyer[1],
            "from_name": buyer[0],
            "status": "pending" if status == "error" else status,
            "message": "Please refund my ticket",
            "reason": reason,
            "last_message": None,
            "last_reason": None,
            "items": items,
        }

    def keep_order(
        self,
        show: _Show,
        key: str,
        buyer: tuple[str, str, str],
        created: int,
        changed: int,
        status: str,
        costs: _Costs,
        requests: Any = None,
        code: tuple[str, int, str] | None = None,
        time_remaining: int | None = None,
    ) -> None:
        given, family, email = buyer
        item: Json = {
            "id": key,
            "resource_uri": f"{API}/orders/{key}/",
            "created": utc(created),
            "changed": utc(changed),
            "name": f"{given} {family}",
            "first_name": given,
            "last_name": family,
            "email": email,
            "status": status,
            "event_id": show.id,
            "time_remaining": time_remaining,
            "costs": _rich(costs, show.currency),
            "refund_requests": requests if requests is not None else [],
        }
        if code:
            item["promo_code"] = code[0]
        self.keep("orders", item)

    def keep_attendee(
        self,
        show: _Show,
        order: _Order,
        ticket: _Ticket,
        entry: _Class,
        person: tuple[str, str, str],
        created: int,
        changed: int,
        *,
        status: str,
        cancelled: bool,
        refunded: bool,
        scanned_at: int,
        affiliate: str | None,
        code: tuple[str, int, str] | None,
        case: str,
    ) -> None:
        key = ticket.id
        profile = _profile(person)
        if case == "placeholder":
            profile = _profile(("Info Requested", "Info Requested", "Info Requested"))
        elif case == "blank_profile":
            profile = (
                {}
                if int(key) % 2
                else {"name": "", "first_name": "", "last_name": "", "email": " ", "addresses": {}}
            )
        barcode: Json = {
            "barcode": f"{order.id}{key}001",
            "status": "used" if scanned_at else "refunded" if refunded else "unused",
            "checkin_type": 1 if scanned_at else 0,
            "is_printed": False,
            "created": utc(created + 3),
            "changed": utc(scanned_at or created + 3),
        }
        if scanned_at:
            barcode["checkin_method"] = "scan"
        item: Json = {
            "id": key,
            "resource_uri": f"{API}/events/{show.id}/attendees/{key}/",
            "created": utc(created),
            "changed": utc(changed),
            "event_id": show.id,
            "order_id": order.id,
            "ticket_class_id": entry.id,
            "ticket_class_name": entry.name,
            "variant_id": f"T{entry.id}-D{code[2]}" if code else None,
            "quantity": 1,
            "status": status,
            "checked_in": bool(scanned_at),
            "cancelled": cancelled,
            "refunded": refunded,
            "profile": profile,
            "answers": [self.answer(question) for question in show.questions],
            "barcodes": [barcode],
            "costs": ticket.costs.wire(show.currency),
            "team": None,
            "affiliate": affiliate,
            "guestlist_id": None,
            "invited_by": None,
            "delivery_method": "electronic",
        }
        if code:
            item["promotional_code"] = {
                "id": code[2],
                "code": code[0],
                "promotion_type": "discount",
                "discount_type": "coded",
                "percent_off": f"{code[1]}.00",
                "amount_off": None,
            }
        if case == "sparse":
            for absent in ("variant_id", "team", "guestlist_id", "invited_by", "delivery_method", "answers"):
                del item[absent]
            if affiliate is None:
                del item["affiliate"]
        elif case == "extra_keys":
            item["assigned_unit"] = {"unit": {"values": ["A", "12"]}}
            item["costs"] = {**item["costs"], "royalty": money(show.currency, 0)}
        self.keep("attendees", item)

    def answer(self, question: Json) -> Json:
        rng, what = self.rng, question["question"]["text"]
        item: Json = {"question_id": question["id"], "question": what}
        if what == "Meal?":
            meals = ("Vegan", "Fish", "Vegan | Fish", "Anything")
            return item | {"type": "multiple_choice", "answer": rng.choice(meals)}
        if what == "Home Address":
            where = {"address_1": "1 Sample St", "city": "New York", "postal_code": "10001", "country": "US"}
            return item | {"type": "address", "answer": where}
        item["type"] = "text"
        if rng.random() < 0.4:
            item["answer"] = rng.choice(("Front row, please", "Wheelchair space", "見えやすい席", "no"))
        return item


_WHOLE_ORDER = {
    "refund_keeps_fees",
    "refund_unsettled",
    "refund_order_level",
    "cancelled_unsettled",
    "deleted_order",
}
# A later day can give back the rest of these.
_MORE_TO_REFUND = {"refund_part_attending", "merchandise", "later_asked_part", "later_silent_part"}
_FLAGS_REFUNDED = {
    "refund_all",
    "refund_all_object",
    "refund_one",
    "refund_keeps_fees",
    "refund_two_steps",
    "refund_unsettled",
    "refund_part_attending",
}


def _fee(currency: str, price: int) -> int:
    fixed = {"JPY": 190, "KWD": 550}.get(currency, 179)
    return price * 37 // 1000 + fixed


def _goods(currency: str, dollars: int) -> int:
    """A price in minor units of about so many dollars."""
    return int(dollars * {"JPY": 100, "KWD": 0.4}.get(currency, 1) * 10 ** EXPONENT.get(currency, 2))


def _rich(costs: _Costs, currency: str) -> Json:
    """Order costs as the single order and the event's order list give them."""
    return {
        **costs.wire(currency),
        "display_price": money(currency, costs.base),
        "display_fee": money(currency, costs.fee + costs.payment),
        "display_tax": {"name": "Tax", "tax": money(currency, costs.tax)},
        "fee_components": [],
        "tax_components": [],
        "shipping_components": [],
        "has_gts_tax": False,
        "tax_name": "Tax",
    }


def _profile(person: tuple[str, str, str]) -> Json:
    given, family, email = person
    return {
        "name": f"{given} {family}" if given != family else given,
        "first_name": given,
        "last_name": family,
        "email": email,
        "cell_phone": "555-0100",
        "addresses": {},
    }
