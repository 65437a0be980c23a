"""Worlds nobody would make by hand: every combination the sources can bring, by seed."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

from tests.python.models.bronze import Bronze, costs, merged, money

ZONES = [
    "America/New_York", "Asia/Tokyo", "Asia/Kathmandu", "Europe/London", "Pacific/Auckland", "UTC",
    "Mars/Olympus", None,
]  # fmt: skip
CURRENCIES = ["USD", "USD", "EUR", "JPY", "KWD", "usd"]
CHANNELS = [None, "", "Email", "e-mail", "EMAIL ", "Instagram", "insta gram!", "radio", "Zürich/Ost", "***"]
AFFILIATES = [None, "", "oddtdtcreator", "Instagram", "radio", "EMAIL", "ebdssbdestsearch"]
ONLINE_STATUSES = ["Attending"] * 6 + [
    "Checked In", "Not Attending", "Deleted", "Unpaid", "attending", "Wobbling", None,
]  # fmt: skip
ORDER_STATUSES = ["placed"] * 12 + [
    "pending",
    "abandoned",
    "unpaid",
    "cancelled",
    "deleted",
    "refunded",
    None,
]
SHEET_STATUSES = ["valid"] * 6 + [
    "", "Cancelled", "canceled", "REFUNDED", "transferred", "unpaid", "wobbly", " valid ",
]  # fmt: skip
PRICES = [
    "25", "25.00", "0", "0.00", "19.99", " 7.5 ", "1,234.50", "$12", "€ 9.99", "1000000.0001", "twenty", "",
    "N/A", "12,50", "1.2.3", "-5",
]  # fmt: skip
EMAILS = [
    "ann@example.org",
    " ANN@Example.org ",
    "bo@example.org",
    None,
    "",
    "Info Requested",
    "c@example.org",
]
# What is collected beside name and e-mail.
PROFILES: list[dict[str, Any]] = [
    {},
    {"addresses": {}},
    {"addresses": None, "work_phone": " "},
    {"first_name": "Kim", "last_name": "Bu yer ", "work_phone": "+1 212 555 0100"},
    {"first_name": " ", "last_name": "Only", "addresses": {"bill": {}, "home": {"city": "Ghent"}}},
    {"first_name": "Info", "last_name": "Requested", "name": "Info Requested"},
    {"first_name": "Zoë", "addresses": {"bill": {"address_1": "9 Pier Rd", "region": "MA", "country": "us"}}},
    {"addresses": {"bill": {"address_1": "", "address_2": "Rear", "city": " Graz ", "postal_code": "8010"}}},
]
TIMES = [
    "", "soon", "2026-02-30", "31/01/2026", "2026-01-15", "2026-01-15 23:59:59", "2026-01-16T00:00:00",
    "2026-01-15T22:10:00Z", "2026-01-15 22:10:00+09:00", "2026-01-15 10:30", "1899-12-31", "2150-01-01",
    # New York has no such hour, and this one twice.
    "2026-03-08 02:30:00", "2025-11-02 01:30:00",
]  # fmt: skip


def world(seed: int, size: int = 60) -> Bronze:
    """About `size` orders and twice as many sheet tickets, over few enough events that they meet."""
    random = Random(seed)
    bronze = Bronze()
    _online(bronze, random, size)
    _sheets(bronze, random, size)
    for _ in range(random.choice([0, 2, 4])):
        # Some lead to a series, to nothing, or one event to two.
        bronze.links.append(
            (
                random.choice(["E0", "E1", "E2", "E3", "E99"]),
                random.choice(["800", "801", "802", "808", "999"]),
            )
        )
    _airtable(bronze, Random(f"airtable {seed}"))
    map_anew(bronze, Random(f"civicrm {seed}"))
    return bronze


def map_anew(bronze: Bronze, random: Random) -> None:
    """Other events mapped to CiviCRM: by id, by name, by both, by what is none or by what several bear."""
    bronze.tables["reference.civicrm_events"].clear()
    bronze.tables["reference.civicrm_roles"].clear()
    pick = random.choice
    events = ["800", "801", "802", "808", "899", "999", "Show 800", " Show 803", "Show 804", "Gala"]
    for event in random.sample(events, pick([0, 3, 6, 8])):
        bronze.mapped(
            event, pick(["41", "Spring Gala", f"At the site {event}"]), pick([None, "", "1", "Attendee"])
        )
    of = [None, None, "", "800", "801", "Show 803", "Gala", "999"]
    classes = ["300", "301", " 302", "305", "399", "General", "Class 300", "Class 304", "Seat", "nothing"]
    for event, ticket_class in {(pick(of), pick(classes)) for _ in range(pick([0, 4, 12]))}:
        bronze.role(event, ticket_class, pick(["Attendee", "Speaker", "4"]))


def _online(bronze: Bronze, random: Random, size: int) -> None:
    pick = random.choice
    for number in range(4):
        bronze.venue(f"5{number}", capacity=pick([None, 0, 50, 300]), missing_since=_maybe_missing(random))
    events = [f"80{number}" for number in range(9)]
    for event in events:
        zone = pick(ZONES)
        start = _moment("2026-02-10T19:00:00") + timedelta(days=random.randrange(-20, 40))
        bronze.event(
            event,
            name=pick([{"text": f"Show {event}"}, {"text": "  "}, None]),
            start={"timezone": zone, "local": start.isoformat(), "utc": start.isoformat() + "Z"},
            end=pick([{"utc": (start + timedelta(hours=3)).isoformat() + "Z"}, None]),
            status=pick(["live", "started", "ended", "completed", "canceled", "draft", "Live"]),
            currency=pick([*CURRENCIES, None]),
            capacity=pick([None, 0, 1, 120]),
            venue_id=pick([None, "50", "51", "52", "53", "59"]),
            is_series_parent=event == "808",
            series_id=pick([None, "808"]),
            missing_since=_maybe_missing(random),
        )
    classes = {}
    for number, event in enumerate([*events, *events, "899"]):
        limit = pick([None, 0, 40, 100])
        classes[f"30{number}"] = event
        bronze.ticket_class(
            f"30{number}",
            event,
            category=pick(["admission", "admission", "admission", "add_on", "donation", None]),
            donation=pick([False, False, False, True]),
            capacity=limit,
            quantity_total=limit or 0,
            free=pick([False, True]),
            cost=pick([None, money(1500)]),
            missing_since=_maybe_missing(random),
        )
    attendee = 0
    for number in range(size):
        event = pick([*events, "899"])
        tickets = [f"{2000 + attendee + place}" for place in range(pick([0, 1, 1, 2, 3, 5]))]
        attendee += len(tickets)
        own = [id for id, of in classes.items() if of == event != "808"]
        _order(bronze, random, f"{1000 + number}", event, tickets, [*own, None, "399"])


def _order(
    bronze: Bronze, random: Random, order: str, event: str, tickets: list[str], classes: list[str | None]
) -> None:
    """An order and its attendees, in versions; prices mostly fall, and not always for a reason."""
    pick = random.choice
    currency = pick(CURRENCIES)
    placed = _moment("2026-01-03T12:00:00") + timedelta(minutes=random.randrange(0, 60 * 24 * 50))
    moments = sorted(placed + timedelta(minutes=random.randrange(2, 60 * 24 * 9)) for _ in range(6))
    items: list[dict[str, Any]] = []
    for moment in random.sample(moments, pick([0, 0, 1, 1, 2, 3])):
        amount = random.randrange(1, 3000)
        processed = moment - timedelta(seconds=pick([0, 0, 30, 4000]))
        items.append(
            pick(
                [
                    {"status": "processed", "amount_processed": amount, "processed_date": _utc(processed)},
                    {
                        "status": "processed",
                        "amount_processed": money(amount, currency),
                        "processed_date": _utc(processed),
                    },
                    {"status": "pending", "amount_requested": amount},
                    {"status": "error", "amount_requested": amount},
                ]
            )
        )
    requests: Any = {}
    if items:
        whole: Any = {"from_name": "Kim", "items": items}
        requests = {"refund_requests": pick([whole, [whole], [{"items": items[:1]}, {"items": items[1:]}]])}
    total = 0
    if pick([True] * 11 + [False]):
        said = {"promo_code": pick(CHANNELS)} if pick([True, False]) else {}
        prices = [random.randrange(0, 9000)]
        prices += [random.randrange(0, prices[0] + 500) for _ in range(pick([0, 0, 1, 2]))]
        total = prices[0]
        statuses = _statuses(random, ORDER_STATUSES, len(prices))
        for place, (price, status) in enumerate(zip(prices, statuses, strict=True)):
            bronze.order(
                order,
                event,
                email=EMAILS[int(order) % len(EMAILS)],
                created=_utc(placed),
                changed=_utc(moments[place]),
                landed_at=_utc(moments[place] + timedelta(hours=1)),
                status=status,
                costs=costs(price, currency, fee=price // 20, payment_fee=price // 50, tax=price // 10),
                missing_since=_maybe_missing(random),
                **requests,
                **said,
            )
    for id in tickets:
        price = pick([0, total // max(len(tickets), 1), random.randrange(0, 5000)])
        prices = [price]
        for _ in range(pick([0, 0, 0, 1, 2, 3])):
            prices.append(pick([prices[-1], 0, random.randrange(0, prices[-1] + 1), price + 7]))
        base = merged(
            {
                "created": pick([_utc(placed), _utc(placed + timedelta(hours=9))]),
                "ticket_class_id": pick(classes),
                "affiliate": pick(AFFILIATES),
            },
            {"promotional_code": {"code": pick(CHANNELS)}} if pick([True, False, False]) else {},
        )
        places = sorted(random.sample(range(len(moments)), len(prices)))
        statuses = _statuses(random, ONLINE_STATUSES, len(prices))
        for place, price, status in zip(places, prices, statuses, strict=True):
            bronze.attendee(
                id,
                order,
                event,
                changed=_utc(moments[place]),
                landed_at=_utc(moments[place] + timedelta(minutes=10)),
                status=status,
                checked_in=pick([False, False, True]),
                cancelled=pick([False] * 9 + [True]),
                refunded=pick([False, False, True]),
                costs=costs(price, currency, fee=price // 25, payment_fee=price // 40, tax=price // 11),
                missing_since=_maybe_missing(random),
                profile={
                    "name": f"Guest {id}",
                    "email": EMAILS[int(id) % 5],
                    **PROFILES[int(id) % len(PROFILES)],
                },
                **base,
            )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _statuses(random: Random, statuses: list[Any], count: int) -> list[Any]:
    return [random.choice(statuses) for _ in range(count)]


def _maybe_missing(random: Random) -> str | None:
    return "2026-02-27T00:00:00Z" if random.random() < 0.06 else None


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _sheets(bronze: Bronze, random: Random, size: int) -> None:
    pick = random.choice

    def ids(prefix: str, count: int) -> list[str]:
        """Ids of which some are used twice, and a few are none."""
        each = [f"{prefix}{number}" for number in range(count)]
        return [pick([id] * 16 + ["", "  ", each[0], each[-1]]) for id in each]

    for id in ids("A", 4):
        bronze.sheet("artists", artist_id=id, name=f"Artist {id}", created_at=pick(TIMES))
    for id in ids("V", 4):
        bronze.sheet(
            "venues",
            venue_id=id,
            name={"V0": "venue-50", "V1": " VENUE 51! ", "V2": "Venue 50"}.get(id, f"Venue {id}"),
            city={"V1": "new york", "V2": "Ghent"}.get(id, ""),
            capacity=pick(["", "0", "120", "many", "-4"]),
        )
    for id in ids("E", 8):
        day = _moment("2026-03-01") + timedelta(days=pick([-30, -1, 0, 1, 30]))
        bronze.sheet(
            "events",
            event_id=id,
            artist_id=pick(["A0", "A1", "A2", "A9", ""]),
            venue_id=pick(["V0", "V1", "V2", "V3", "V9", ""]),
            event_date=pick([day.strftime("%Y-%m-%d")] * 6 + TIMES),
            status=pick(["completed", "scheduled", "Cancelled", "canceled", ""]),
            currency=pick(["USD", "eur", "JPY", "", " KWD "]),
        )
    for number, id in enumerate(["P0", "P1", "P2", "P3", "P2", "", "order-1001"]):
        email = EMAILS[number] or ""
        bronze.sheet("customers", customer_id=id, name=f"Customer {id}", email=email)
    tickets = ids("T", size * 2)
    for number, id in enumerate(tickets):
        sold = _moment("2026-01-10") + timedelta(minutes=random.randrange(0, 60 * 24 * 40))
        bronze.sheet(
            "tickets",
            ticket_id=id,
            event_id=pick([f"E{event}" for event in range(9)] + [""]),
            customer_id=["P0", "P1", "P2", "P3", "P9", "", "order-1001"][number % 7],
            purchase_datetime=pick([sold.isoformat(sep=" ")] * 20 + TIMES),
            channel=pick(CHANNELS) or "",
            price_paid=pick(PRICES),
            currency=pick(["", "", "USD", "eur", "JPY"]),
            status=pick(SHEET_STATUSES),
        )
    for id in ids("C", size):
        bronze.sheet(
            "checkins",
            checkin_id=id,
            event_id=pick(["E0", "E1", "E99", ""]),
            ticket_id=pick([*tickets, "T999"]),
            scanned_at=pick(["2026-02-28 19:00:00", *TIMES]),
            gate=pick(["A", "B", ""]),
        )
    for id in ids("R", size // 2):
        bronze.sheet(
            "refunds",
            refund_id=id,
            ticket_id=pick([*tickets, "T999", ""]),
            event_id=pick(["E0", "E1", "E99", ""]),
            refund_amount=pick(PRICES),
            refunded_at=pick(["2026-02-20 09:00:00", "2026-01-31 23:30:00", *TIMES]),
        )
    for id in ids("M", 25):
        bronze.sheet(
            "campaigns",
            campaign_id=id,
            event_id=pick(["E0", "E1", "E2", "E3", "E4", "800", "801", "802", "803", "E99", ""]),
            channel=pick([*CHANNELS, "unattributed", "Unknown"]) or "",
            spend=pick(["", "0", "100", "250.50", "lots"]),
            impressions=pick(["", "1000", "1e3", "12.5"]),
            clicks=pick(["", "10", "ten"]),
            start_date=pick(["", "2026-01-15", "2026-01-20", "2026-02-01", "never"]),
            end_date=pick(["", "2026-01-14", "2026-01-31", "2026-02-20", "2026-02-20 12:00"]),
        )


DAYS = [
    None, "2026-01-15", "2026-01-31", "2026-02-20", "2026-01-20T23:30:00.000Z", "2026-02-01T03:00:00.000Z",
    "next week", "2026-02-20T10:00",
]  # fmt: skip
FIELD_ZONES = [None, "client", "America/New_York", "Asia/Tokyo", "Mars/Olympus"]
UNREADABLE = [{"error": "#ERROR!"}, {"specialValue": "NaN"}, [{"id": "att1", "filename": "a.pdf"}]]


def _airtable(bronze: Bronze, random: Random) -> None:
    """A base people keep: places, acts, shows that are partly those of other sources, and campaigns."""
    pick = random.choice

    def mapped(role: str, columns: str, *tables: str) -> None:
        for table in tables:
            bronze.base(table, role, {column: pick(FIELD_ZONES) for column in columns.split()})

    mapped("venue", "venue_name city capacity", "tblPlaces")
    mapped("artist", "artist_name created_date", "tblActs")
    shows = "event_id event_name venue_id event_date starts_at ends_at timezone status currency"
    mapped("event", f"{shows} stated_capacity", "tblShows")
    mapped("campaign", "event_id channel spend_amount impressions clicks start_date end_date", "tblAds")
    # One table can be two things to us, and need not have every column.
    mapped("event", "event_name event_date", "tblTours")
    mapped("campaign", "event_id channel spend_amount", "tblTours")

    # Some are venues of the other sources; one that boxoffice wrote says nothing, and can be linked to.
    for number, name in enumerate(["Venue 50", "VENUE-51", "Venue V3", "Barn", "Barn", "Venue 52"]):
        bronze.record(
            "tblPlaces",
            f"recPlace{number}",
            missing_since=_maybe_missing(random),
            venue_name=name,
            city=pick([None, "New York", "Ghent", " "]),
            capacity=pick([0, 80, 300, 500, "1,200", 12.5, pick(UNREADABLE)]),
        )
    bronze.wrote("tblPlaces", "recPlace5", pick(["eventbrite-52", "airtable-recPlace3", "sheets-V99"]))
    for number in range(3):
        created = pick(DAYS)
        bronze.record("tblActs", f"recAct{number}", artist_name=f"Act {number}", created_date=created)
    for number in range(9):
        bronze.record(
            "tblShows",
            f"recShow{number}",
            missing_since=_maybe_missing(random),
            event_id=pick([None, " ", "E0", "800", 801, "801", 801, "808", "899", "OWN1", "OWN1", "OWN2"]),
            event_name=pick([None, f"Show {number}", {"id": "usr1", "name": "Kim"}]),
            venue_id=pick(
                [*([f"recPlace{place}"] for place in range(7)), ["recPlace3", "recPlace4"], "V1", "51"]
            ),
            event_date=pick(DAYS),
            starts_at=pick([None, "2026-02-10T02:00:00.000Z", "2026-03-02T23:30:00.000Z", "2026-02-10"]),
            ends_at=pick([None, "2026-02-10T05:00:00.000Z", "2026-03-03T02:30:00.000Z", "late"]),
            timezone=pick([None, None, *ZONES]),
            status=pick([None, "Planned", "Cancelled", "canceled"]),
            currency=pick([None, *CURRENCIES]),
            stated_capacity=pick([None, None, 0, -4, 120, "1,200", 12.5, pick(UNREADABLE)]),
        )
    bronze.wrote("tblShows", "recShow8", pick(["eventbrite-802", "sheets-E2", "airtable-recShow0", "gone"]))
    # What another table wrote is no business of this one's records.
    bronze.wrote("tblTours", "recShow7", "eventbrite-803")
    ids = ["E0", "E1", "E2", "E99", "800", 801, "802", "808", "OWN1", "OWN2", "eventbrite-800", None]
    meant = [*ids, *([f"recShow{number}"] for number in range(10)), ["recShow0", "recShow1"], *UNREADABLE]
    spends = [None, 0, 100, 250.5, "$ 1,000", "lots", *UNREADABLE]
    for number in range(30):
        bronze.record(
            "tblAds",
            f"recAd{number}",
            missing_since=_maybe_missing(random),
            event_id=pick(meant),
            channel=pick([*CHANNELS, ["Email", "radio"], "unattributed"]),
            spend_amount=pick(spends),
            impressions=pick([None, 1000, 12.5, "1,000"]),
            clicks=pick([None, 10, "ten"]),
            start_date=pick(DAYS),
            end_date=pick(DAYS),
        )
    for number in range(3):
        bronze.record(
            "tblTours",
            f"recTour{number}",
            event_name=f"Tour {number}",
            event_date=pick(DAYS),
            event_id=pick(meant),
            channel=pick(CHANNELS),
            spend_amount=pick(spends),
        )
    if pick([True, False]):
        # An id that a sheet and Eventbrite both use means the sheet's event.
        bronze.sheet("events", event_id="801", event_date="2026-02-02", venue_id="V0", currency="EUR")
    for number, event in enumerate(["recShow0", "recShow1", "OWN1", "recTour0"]):
        bronze.sheet("campaigns", campaign_id=f"MA{number}", event_id=event, channel="Email", spend="10")
