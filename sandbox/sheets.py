"""The sample sheets: `python -m sandbox.sheets [folder]` writes data/sample again, byte for byte.

Eight sheets of a music promoter and six of a streaming service, with the mistakes people make in sheets,
and the truth about them, summed while each row is made:
- of rows that share a key the last one counts; a row without a key counts for nothing;
- a cell that cannot be read is blank;
- the money of a ticket or campaign whose event does not exist goes to the event `unknown`.
Some campaigns are of Eventbrite events: those of `generator.generate()` with its defaults.
"""

import csv
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from sandbox import words
from sandbox.generator import AS_OF, World, generate
from sandbox.truth import ONE, Tally, fold, merged

SAMPLE = Path(__file__).parent.parent / "data" / "sample"
HEADERS = {
    "artists": "artist_id,name,genre,country,created_at",
    "venues": "venue_id,name,city,state,country,capacity",
    "events": "event_id,artist_id,venue_id,event_date,status,ticket_price,currency",
    "customers": "customer_id,name,email,city,state,country,created_at",
    "tickets": "ticket_id,event_id,customer_id,purchase_datetime,channel,price_paid,currency,status",
    "checkins": "checkin_id,event_id,ticket_id,scanned_at,gate",
    "refunds": "refund_id,ticket_id,event_id,reason,refund_amount,refunded_at",
    "campaigns": "campaign_id,event_id,channel,spend,impressions,clicks,conversions,start_date,end_date",
    "locations": "country_id,country_code,country_name,region_id,region_code,region_name",
    "users": "user_id,user_legacy_id,name,email,age,country_id,region_id,region_code,region_name,"
    "signup_date,acquisition_source",
    "content": "content_id,title,content_type_name,genre_name,release_year",
    "subscriptions": "subscription_id,user_legacy_id,plan_type,start_date,end_date",
    "payments": "payment_id,subscription_id,amount,currency,paid_at",
    "viewing_activity": "activity_id,user_legacy_id,content_id,device_id,watched_at,"
    "duration_watched_sec,user_rating",
}
# How the same channel is written in different places.
CHANNELS = {
    "Facebook Ads": ("Facebook Ads", "facebook_ads", "facebook ads"),
    "Newsletter": ("Newsletter", "newsletter"),
    "Google Search": ("Google Search", "google-search"),
    "Radio": ("Radio", "RADIO "),
    "Street Team": ("Street Team", "street team"),
    "Influencer": ("Influencer", "influencer"),
}
UNTRACKED = ("Box Office", "", "word of mouth")
GENRES = ("Indie", "Jazz", "Electronic", "Folk", "Classical", "Hip-Hop", "Metal", "Soul")
GATES = ("North", "South", "Main", "Balcony")
REASONS = ("customer request", "event rescheduled", "duplicate purchase", "seat, as sold, did not exist")
# city (index into words.CITIES), state, country, currency
TOWNS = (
    (0, "NY", "US", "USD"),
    (1, "CA", "US", "USD"),
    (2, "IL", "US", "USD"),
    (4, "", "GB", "GBP"),
    (5, "", "DE", "EUR"),
)


@dataclass
class Sheets:
    """rows by sheet, as text and without the header; a row may be ragged."""

    rows: dict[str, list[list[Any]]]
    tally: Tally = field(repr=False)
    as_of: datetime = AS_OF

    def truth(self, world: World | None = None, as_of: datetime | None = None) -> dict[str, Any]:
        """What gold shows when these sheets, and that account too, are loaded."""
        tallies = [world.tally, self.tally] if world else [self.tally]
        return merged(tallies).truth(as_of or (world.as_of if world else self.as_of))

    def write(self, folder: Path = SAMPLE) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for sheet, rows in self.rows.items():
            with (folder / f"{sheet}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(HEADERS[sheet].split(","))
                writer.writerows(rows)


@dataclass
class _Gig:
    id: str
    key: str
    day: date
    price: int  # hundredths
    currency: str
    city: int
    hall: int | None
    is_cancelled: bool
    is_tracked: bool
    target: int
    show_rate: float
    campaigns: list[str]


def make(seed: int = 2026, *, tickets: int = 6000, world: World | None = None) -> Sheets:
    """Sheets with about so many tickets. `world`: the account some campaigns are for."""
    maker = _Maker(Random(seed), AS_OF)
    maker.calendar(tickets)
    maker.sales()
    maker.mistakes()
    maker.campaigns(world or generate())
    maker.streaming()
    return Sheets(maker.rows, maker.tally)


def _price(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}"


class _Maker:
    def __init__(self, rng: Random, as_of: datetime) -> None:
        self.rng, self.as_of, self.today = rng, as_of, as_of.date()
        self.rows: dict[str, list[list[Any]]] = {sheet: [] for sheet in HEADERS}
        self.tally = Tally()
        self.gigs: list[_Gig] = []
        self.numbers: dict[str, int] = {}
        self.customers: list[str] = []
        self.sold: list[
            tuple[str, _Gig, str, int, str | None, str]
        ] = []  # plain tickets: id, gig, day, price…

    def next(self, letter: str) -> str:
        self.numbers[letter] = self.numbers.get(letter, 0) + 1
        return f"{letter}{self.numbers[letter]:05d}"

    def moment(self, day: date, hour: tuple[int, int] = (0, 24)) -> str:
        rng = self.rng
        when = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
            seconds=rng.randrange(hour[0] * 3600, hour[1] * 3600)
        )
        return when.strftime("%Y-%m-%dT%H:%M:%S" if rng.random() < 0.1 else "%Y-%m-%d %H:%M:%S")

    # -- who plays where

    def calendar(self, tickets: int) -> None:
        rng, rows = self.rng, self.rows
        artists: list[str] = []
        seen: set[str] = set()
        while len(artists) < 40:
            leading, kind = rng.choice(("The ", "", "", "DJ ", "Trio ")), rng.choice(words.BANDS)
            name = f"{leading}{rng.choice(words.FAMILY)} {kind}"
            if name in seen:
                continue
            seen.add(name)
            artists.append(self.next("A"))
            founded = date(2019, 1, 1) + timedelta(days=rng.randrange(2200))
            rows["artists"].append(
                [artists[-1], name, rng.choice(GENRES), rng.choice(("US", "GB", "DE", "NO", "")), founded]
            )
        halls: list[tuple[str, int, int | None]] = []
        for place in range(25):
            town = place % len(TOWNS)
            city, state, country, _ = TOWNS[town]
            unstated = {7: "", 12: "about 90", 19: "0"}
            capacity = None if place in unstated else rng.choice((40, 50, 60, 75, 90, 120, 150))
            venue = self.next("V")
            halls.append((venue, town, capacity))
            name = words.place(rng)
            if any(row[1:3] == [name, words.CITIES[city][0]] for row in rows["venues"]):
                name += " II"  # of one name in one town there is one place
            if place == 3:
                name = 'The "Old" Foundry,\nupper floor'
            self.tally.venue(f"sheets-{venue}", name=name, city=words.CITIES[city][0], capacity=capacity)
            rows["venues"].append(
                [venue, name, words.CITIES[city][0], state, country, unstated.get(place, capacity)]
            )
        first = date(2025, 6, 3)
        weights = []
        for place in range(120):
            venue, town, hall = halls[place % 25] if place < 25 else rng.choice(halls)
            day = first + timedelta(days=int(place * 4.55) + rng.randrange(3))
            is_past = day < self.today
            event = self.next("E")
            status = (
                rng.choice(("completed", "Completed")) if is_past else rng.choice(("scheduled", "on sale"))
            )
            is_cancelled = place in (11, 48, 77, 101)
            if is_cancelled:
                status = ("cancelled", "Canceled", "CANCELLED", "cancelled")[(11, 48, 77, 101).index(place)]
            price = 0 if place in (20, 63, 90) else rng.randrange(12, 70) * 100 + rng.choice((0, 0, 50))
            fill = rng.uniform(0.3, 1.05) if is_past else rng.uniform(0.2, 0.75)
            if place in (15, 33):
                fill = 1.13
            weights.append(max(4, round((hall or 70) * fill)))
            gig = _Gig(
                id=event,
                key=f"sheets-{event}",
                day=day,
                price=price,
                currency=TOWNS[town][3],
                city=TOWNS[town][0],
                hall=hall,
                is_cancelled=is_cancelled,
                is_tracked=is_past and not is_cancelled and place not in (5, 29, 41),
                target=0,
                show_rate=rng.uniform(0.76, 0.94),
                campaigns=[],
            )
            self.gigs.append(gig)
            artist_index = rng.randrange(40)
            row: list[Any] = [event, artists[artist_index], venue, day, status, _price(price), gig.currency]
            event_name = str(rows["artists"][artist_index][1])
            if place == 60:  # the first version of this row was wrong; the last one counts
                rows["events"].append(
                    [event, artists[0], venue, day - timedelta(days=7), "draft", "99.00", "USD"]
                )
            if place == 70:
                row[3] = "soon"
            if place == 71:
                row[3] = "2026-04-31"
            if place == 25:
                row[5] = "tbc"
            if place == 99:
                row[1] = "A99999"  # no such artist
                event_name = ""
            if place == 52:
                row[4] = "postponed?"
            if place == 54:
                row[6] = row[6].lower()
            rows["events"].append(row)
            midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
            self.tally.event(
                gig.key,
                name=event_name or None,
                status=str(row[4]).lower(),
                currency=gig.currency,
                capacity=None,
                # over when its date is before that of as_of
                over_after=None if place in (70, 71) else midnight.timestamp() - 0.001,
                is_cancelled=is_cancelled,
                venue=f"sheets-{venue}",
            )
        scale = tickets / sum(weights)
        if not 0.8 < scale < 1.2:  # another size than the sample: halls stay, crowds grow
            weights = [max(4, round(weight * scale)) for weight in weights]
        for gig, weight in zip(self.gigs, weights, strict=True):
            gig.target = weight
        for _ in range(max(1500, tickets // 4) if tickets > 6000 else 1500):
            given, family, email = words.person(rng)
            customer = self.next("C")
            self.customers.append(customer)
            city, state, country, _ = rng.choice(TOWNS)
            joined = date(2023, 1, 1) + timedelta(days=rng.randrange(1100))
            rows["customers"].append(
                [customer, f"{given} {family}", email, words.CITIES[city][0], state, country, joined]
            )

    # -- tickets, scans, refunds

    def sales(self) -> None:
        rng = self.rng
        for gig in self.gigs:
            used = rng.sample(list(CHANNELS), rng.choice((0, 1, 2, 2, 3)))
            gig.campaigns = used
            last = min(gig.day, self.today - timedelta(days=1))
            opened = min(gig.day - timedelta(days=rng.randrange(50, 120)), last - timedelta(days=20))
            window = (last - opened).days
            left = gig.target
            while left > 0:
                customer = rng.choice(self.customers)
                day = opened + timedelta(days=int(window * rng.random() ** 0.6))
                channel = rng.choice(used) if used and rng.random() < 0.55 else rng.choice(UNTRACKED)
                spelled = rng.choice(CHANNELS.get(channel, (channel,)))
                for _ in range(min(left, rng.choice((1, 1, 2, 2, 3, 4)))):
                    self.ticket(gig, customer, day, spelled)
                    left -= 1

    def ticket(self, gig: _Gig, customer: str, day: date, channel: str) -> None:
        rng, draw = self.rng, self.rng.random()
        ticket = self.next("T")
        price = 0 if rng.random() < 0.04 else gig.price
        currency = gig.currency
        if gig is self.gigs[36] and rng.random() < 0.3:  # sold across the border too
            currency, price = "CAD", gig.price * 136 // 100
        stated = (
            currency if currency != gig.currency or rng.random() < 0.7 else rng.choice(("", currency.lower()))
        )
        status = rng.choice(("valid", "valid", "valid", "Valid"))
        if draw < 0.04 or (gig.is_cancelled and draw < 0.7):
            status = rng.choice(("refunded", "Refunded"))
        elif draw < 0.06:
            status = rng.choice(("cancelled", "canceled"))
        elif draw < 0.07 and gig.day < self.today:
            status = "transferred"
        elif draw < 0.072:
            status = rng.choice(("on hold", "vip??"))
        elif draw < 0.075:
            status = ""
        is_valid = status.lower() in ("valid", "")
        self.sell(gig, ticket, customer, day, channel, price, currency, status, stated, is_valid)
        if status == "transferred":  # the recipient has a row of their own, at no price
            other = self.next("T")
            self.sell(
                gig, other, rng.choice(self.customers), day, channel, 0, currency, "valid", stated, True
            )
        elif status.lower() == "refunded" and price and rng.random() < 0.95:
            self.refund(
                gig, ticket, day, channel, price, currency, rng.choice((price, price, price * 9 // 10))
            )
        elif is_valid and price and rng.random() < 0.008:  # a goodwill refund; the guest still comes
            self.refund(gig, ticket, day, channel, price, currency, price // 4)
        elif is_valid and rng.random() < 0.02:
            self.sold.append((ticket, gig, str(day), price, fold(channel), currency))

    def sell(
        self,
        gig: _Gig,
        ticket: str,
        customer: str,
        day: date,
        channel: str,
        price: int,
        currency: str,
        status: str,
        stated: str,
        is_valid: bool,
    ) -> None:
        rng = self.rng
        is_there = is_valid and gig.is_tracked and rng.random() < gig.show_rate
        self.rows["tickets"].append(
            [ticket, gig.id, customer, self.moment(day), channel, _price(price), stated, status]
        )
        self.tally.ticket(
            gig.key,
            str(day),
            currency,
            fold(channel),
            tickets=1,
            sold=int(is_valid),
            free=int(is_valid and not price),
            attended=int(is_there),
            gross=price * (ONE // 100),
        )
        if is_there or (gig.is_tracked and status in ("cancelled", "transferred") and rng.random() < 0.15):
            self.tally.events[gig.key].is_scanned = True
            for _ in range(2 if rng.random() < 0.02 else 1):
                self.rows["checkins"].append(
                    [self.next("K"), gig.id, ticket, self.moment(gig.day, (18, 22)), rng.choice(GATES)]
                )

    def refund(
        self, gig: _Gig, ticket: str, day: date, channel: str, price: int, currency: str, amount: int
    ) -> None:
        when = min(day + timedelta(days=self.rng.randrange(1, 25)), self.today - timedelta(days=1))
        reason = self.rng.choice(REASONS)
        self.rows["refunds"].append(
            [self.next("R"), ticket, gig.id, reason, _price(amount), self.moment(when)]
        )
        self.tally.refund(gig.key, str(when), currency, fold(channel), str(day), amount * (ONE // 100))

    # -- what people get wrong

    def find(self, sheet: str, key: str) -> int:
        return next(place for place, row in enumerate(self.rows[sheet]) if row[0] == key)

    def mistakes(self) -> None:
        rng, rows, tally = self.rng, self.rows, self.tally
        rng.shuffle(self.sold)
        plain = iter([sold for sold in self.sold if sold[3]])
        for _ in range(4):  # a key twice: the first row is out of date
            ticket = next(plain)[0]
            place = self.find("tickets", ticket)
            stale = list(rows["tickets"][place])
            stale[5], stale[7] = "999.00", "refunded"
            rows["tickets"].insert(max(0, place - rng.randrange(1, 30)), stale)
        for text in ("ask Maria", "n/a", "45 or 50", "?"):
            ticket, gig, day, price, channel, currency = next(plain)
            rows["tickets"][self.find("tickets", ticket)][5] = text
            tally.ticket(gig.key, day, currency, channel, gross=-price * (ONE // 100))
        for _ in range(2):
            ticket, _, _, price, _, _ = next(plain)
            rows["tickets"][self.find("tickets", ticket)][5] = f" {_price(price)} "
        for text in ("2026-02-30 12:00:00", "last Tuesday", "", "0000-00-00"):
            ticket, gig, day, price, channel, currency = next(plain)
            rows["tickets"][self.find("tickets", ticket)][3] = text
            gross = price * (ONE // 100)
            tally.ticket(gig.key, day, currency, channel, tickets=-1, sold=-1, gross=-gross)
            tally.ticket(gig.key, None, currency, channel, tickets=1, sold=1, gross=gross)
        for customer in ("C99999", ""):
            rows["tickets"][self.find("tickets", next(plain)[0])][2] = customer

        unknown = tally.unknown_event("sheets")
        for event, status in (
            ("E99999", "valid"),
            ("E77777", "valid"),
            ("", "valid"),
            ("E99999", "cancelled"),
        ):
            ticket, bought = self.next("T"), date(2026, 1, 5) + timedelta(days=rng.randrange(40))
            who, box = rng.choice(self.customers), "Box Office"
            rows["tickets"].append([ticket, event, who, self.moment(bought), box, "31.50", "USD", status])
            is_valid = int(status == "valid")
            tally.ticket(unknown, str(bought), "USD", fold(box), tickets=1, sold=is_valid, gross=315000)
            if event == "E77777":
                when = bought + timedelta(days=3)
                rows["refunds"].append([self.next("R"), ticket, event, "typo", "10.00", self.moment(when)])
                tally.refund(unknown, str(when), "USD", fold(box), str(bought), 100000)
        for _ in range(2):  # nobody can say which ticket this is
            row = [
                "",
                self.gigs[8].id,
                rng.choice(self.customers),
                "2025-07-01 10:00:00",
                "Radio",
                "20.00",
                "USD",
                "valid",
            ]
            rows["tickets"].insert(rng.randrange(len(rows["tickets"])), row)

        for share in (300, 150):  # more given back than was paid
            ticket, gig, day, price, channel, currency = next(plain)
            self.give_back(ticket, gig, day, channel, currency, price * share // 100)
        ticket, gig, day, price, channel, currency = next(plain)
        for share in (25, 50):  # two refunds of one ticket
            self.give_back(ticket, gig, day, channel, currency, price * share // 100)
        ticket, gig, day, price, channel, currency = next(plain)
        self.give_back(ticket, gig, day, channel, currency, price, when="yesterday")
        ticket, gig, day, price, channel, currency = next(plain)
        rows["refunds"].append([self.next("R"), ticket, gig.id, "promised", "in full", "2026-02-02 10:00:00"])
        ticket, gig, day, price, channel, currency = next(plain)
        rows["refunds"].append(
            [
                self.next("R"),
                ticket,
                gig.id,
                "written by hand,\nthen corrected",
                "777.00",
                "2026-02-03 10:00:00",
            ]
        )
        self.numbers["R"] -= 1  # the same key again
        self.give_back(ticket, gig, day, channel, currency, price // 2)
        gig = self.gigs[22]  # an unknown ticket of a known event
        rows["refunds"].append(
            [self.next("R"), "T99999", gig.id, "lost slip", "12.00", "2026-01-09 09:30:00"]
        )
        tally.refund(gig.key, "2026-01-09", gig.currency, None, None, 120000)

        tracked = next(gig for gig in self.gigs if tally.events[gig.key].attended)
        scan = rows["checkins"][0]
        rows["checkins"] += [
            [self.next("K"), tracked.id, "T88888", self.moment(tracked.day, (18, 22)), "Main"],
            [self.next("K"), tracked.id, "", self.moment(tracked.day, (18, 22)), "Main"],
            ["", tracked.id, scan[2], scan[3], "Main"],
            list(scan),
        ]
        customers = rows["customers"]
        customers.insert(40, [customers[40][0], "Old Name", *customers[40][2:]])
        customers.insert(200, customers[200][:4])  # cells are missing
        customers.insert(300, [*customers[300], "left over", "and more"])
        customers[500][6] = "spring 2024"
        customers[501][2] = ""
        customers[502][2] = customers[503][2].upper()
        rows["artists"].insert(12, [rows["artists"][12][0], "Misspelt Band", "Jazz", "US", "2020-01-01"])
        rows["artists"][20][4] = "n/a"
        rows["artists"].append(["", "No Number Yet", "Folk", "", ""])
        rows["events"].append(["", "A00001", "V00001", "2026-06-01", "scheduled", "10.00", "USD"])

    def give_back(
        self,
        ticket: str,
        gig: _Gig,
        day: str,
        channel: str | None,
        currency: str,
        amount: int,
        when: str | None = None,
    ) -> None:
        on = min(date.fromisoformat(day) + timedelta(days=9), self.today - timedelta(days=1))
        self.rows["refunds"].append(
            [self.next("R"), ticket, gig.id, "goodwill", _price(amount), when or self.moment(on)]
        )
        self.tally.refund(gig.key, None if when else str(on), currency, channel, day, amount * (ONE // 100))

    # -- campaigns

    def campaigns(self, world: World) -> None:
        rng = self.rng
        days: dict[tuple[str, str], list[str]] = {}
        revenue: dict[tuple[str, str], int] = {}
        for tally in (self.tally, world.tally):
            for (event, channel, day, _), (_, earned) in tally.channels.items():
                if channel and day:
                    days.setdefault((event, channel), []).append(day)
                    revenue[event, channel] = revenue.get((event, channel), 0) + earned

        for gig in self.gigs:
            for channel in gig.campaigns:
                known = (gig.key, fold(channel) or "")
                self.campaign(
                    gig.id, known, rng.choice(CHANNELS[channel]), days.get(known, []), revenue.get(known, 0)
                )
        online = sorted(known for known in days if known[0].startswith("eventbrite-"))
        for known in rng.sample(online, min(30, len(online))):
            name = rng.choice((known[1], known[1].upper(), known[1].title().replace(" ", "-")))
            self.campaign(known[0].partition("-")[2], known, name, days[known], revenue[known])
        if online:  # an affiliate that Eventbrite sets by itself sells nothing
            event = online[0][0]
            self.campaign(event.partition("-")[2], (event, "oddtdtcreator"), "oddtdtcreator", [], 0)
        unknown = self.tally.unknown_event("sheets")
        self.campaign("E88888", (unknown, "billboard"), "Billboard", [], 0)

    def campaign(self, event: str, known: tuple[str, str], name: str, days: list[str], revenue: int) -> None:
        """One row, or two that overlap. Spend aims at a return of -1 to 8, in hundredths."""
        rng, days = self.rng, sorted(days) or ["2026-01-10", "2026-02-10"]
        number = self.numbers.get("P", 0)
        gain = rng.choice((rng.uniform(-0.7, 0), rng.uniform(0, 2), rng.uniform(0, 3), rng.uniform(3, 6)))
        total = int(revenue / (ONE // 100) * 0.8 / (1 + gain)) if revenue > 0 else rng.randrange(4000, 30000)
        start = days[rng.randrange(max(1, len(days) // 4))]
        end = days[-1 - rng.randrange(max(1, len(days) // 5))]
        halves = [(total, start, end)]
        if number % 9 == 4:
            middle = days[len(days) // 2]
            halves = [(total // 2, start, middle), (total - total // 2, days[len(days) // 3], end)]
        for spend, first, last in halves:
            key = self.next("P")
            number = self.numbers["P"]
            clicks = rng.randrange(20, 900)
            row: list[Any] = [key, event, name, _price(spend), clicks * rng.randrange(15, 60), clicks]
            row += [rng.randrange(clicks // 10 + 1), first, last]
            spend_now: int | None = spend * (ONE // 100)
            if number % 40 == 7:
                row[3], spend_now = "", None
            elif number % 60 == 8:
                row[3], spend_now = "0.00", 0
            elif number == 50:
                row[3], spend_now = "tbd", None
            if number % 17 == 3:
                row[7] = ""
            if number % 19 == 5:
                row[8] = ""
            if number == 60:
                row[7] = "when tickets go on sale"
            if number == 70:
                row[4] = row[5] = ""
            if number == 80:  # the same key, first with another amount
                self.rows["campaigns"].append([key, event, name, "9999.00", *row[4:]])
            self.rows["campaigns"].append(row)
            open_start = row[7] == "" or number == 60
            self.tally.campaign(
                known[0],
                known[1],
                spend=spend_now,
                impressions=row[4] or None,
                clicks=row[5] or None,
                start=None if open_start else first,
                end=row[8] or None,
            )

    # -- the streaming service

    def streaming(self) -> None:
        rng, rows = self.rng, self.rows
        places = [
            (number, code, country, 10 * number + part, f"{code}-{part}", region)
            for number, (code, country, regions) in enumerate(
                (
                    ("US", "United States", ("North East", "West", "Midwest")),
                    ("GB", "United Kingdom", ("England", "Scotland")),
                    ("DE", "Germany", ("Berlin", "Bavaria")),
                    ("JP", "Japan", ("Kanto", "Kansai")),
                ),
                1,
            )
            for part, region in enumerate(regions, 1)
        ]
        rows["locations"] = [list(place) for place in places]
        legacy = [f"legacy-{number:04d}" for number in range(1, 161)]
        for number, old in enumerate(legacy, 1):
            given, family, email = words.person(rng)
            country, _, _, region, region_code, region_name = rng.choice(places)
            joined = date(2024, 3, 1) + timedelta(days=rng.randrange(700))
            source = rng.choice(("organic", "referral", "ads", ""))
            written = f" {old} " if number % 20 == 3 else old
            rows["users"].append(
                [
                    *(number, written, f"{given} {family}", email, rng.randrange(16, 80)),
                    *(country, region, region_code, region_name, joined, source),
                ]
            )
            for _ in range(rng.choice((0, 1, 1, 1, 2))):
                begun = joined + timedelta(days=rng.randrange(120))
                over = begun + timedelta(days=30 * rng.randrange(1, 14)) if rng.random() < 0.5 else ""
                plan = rng.choice(("basic", "standard", "premium"))
                subscription = self.next("S")
                rows["subscriptions"].append([subscription, old, plan, begun, over])
                for month in range(rng.randrange(1, 7)):
                    paid = self.moment(begun + timedelta(days=30 * month))
                    amount = {"basic": "6.99", "standard": "10.99", "premium": "15.99"}[plan]
                    rows["payments"].append([self.next("M"), subscription, amount, "USD", paid])
        titles = []
        for number in range(1, 61):
            titles.append(f"N{number:03d}")
            kind = rng.choice(("concert film", "series", "documentary"))
            rows["content"].append(
                [titles[-1], words.show(rng), kind, rng.choice(GENRES), rng.randrange(1998, 2026)]
            )
        for number in range(1, 901):
            watched = self.moment(date(2025, 6, 1) + timedelta(days=rng.randrange(270)))
            rating = rng.choice(("", "", 1, 2, 3, 4, 4, 5, 5))
            rows["viewing_activity"].append(
                [
                    *(f"W{number:05d}", rng.choice(legacy), rng.choice(titles)),
                    *(f"device-{rng.randrange(40)}", watched, rng.randrange(30, 7200), rating),
                ]
            )
        rows["users"].append(list(rows["users"][5]))  # twice
        rows["payments"][10][2] = "free month"
        rows["payments"][11][4] = "2025-02-31 00:00:00"
        rows["viewing_activity"][30][1] = "legacy-9999"
        rows["viewing_activity"][31][5] = "-5"
        rows["subscriptions"][7][2] = ""


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE
    sheets = make()
    sheets.write(folder)
    print(f"{sum(map(len, sheets.rows.values())):,} rows of {len(sheets.rows)} sheets in {folder}")


if __name__ == "__main__":
    main()
