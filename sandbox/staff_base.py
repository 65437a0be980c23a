"""An invented Airtable base that the staff of the venues keep beside Eventbrite, and the truth about it.

`sandbox/mappings/airtable_sources.csv` maps three of its tables: rooms (some are Eventbrite's, spelled by
people), shows that are sold nowhere online, and what campaigns cost. The rota is nobody's business; a list of
venues that somebody has begun by hand is there to be completed. The same world gives the same base; ids of
tables and fields never change.

- A show that states the id of an event of Eventbrite is that event and no other; one that states an id nobody
  knows is its own.
- A campaign states Eventbrite's id of an event, or the record id of a show, or an id that a show states.
- A campaign without a known event belongs to the event `unknown` of Airtable, one without a channel to the
  channel `unknown`.
- Every row counts by itself: nothing here has a key of ours that could be doubled.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sandbox import words
from sandbox.bases import Base, Record, Table, identity, iso
from sandbox.generator import World
from sandbox.store import Json
from sandbox.truth import ONE, Tally, fold

BASE_ID = "appLanternHall001"
CAMPAIGNS, ROOMS, SHOWS, ROTA = "Campaigns 📣", "Rooms", "Own shows, not online", "Staff rota"
VENUES = "Venues"
DAY = timedelta(days=1)


@dataclass
class StaffBase:
    """`venues`: what each room says and the Eventbrite venues that are the same place."""

    base: Base
    tally: Tally = field(repr=False)
    venues: dict[str, Json] = field(repr=False, default_factory=dict)

    @property
    def truth(self) -> Json:
        return {"base": self.base.id, "venues": self.venues}


def table_id(table: str) -> str:
    return identity("tbl", table)


def field_id(table: str, name: str) -> str:
    return identity("fld", table, name)


def choices(*names: str, of: str) -> Json:
    colors = ("blueLight2", "greenLight2", "redLight2", "yellowLight2", "grayLight2")
    return {
        "choices": [
            {"id": identity("sel", of, name), "name": name, "color": colors[place % len(colors)]}
            for place, name in enumerate(names)
        ]
    }


def number(precision: int = 0) -> Json:
    return {"precision": precision}


def money(symbol: str = "€") -> Json:
    return {"precision": 2, "symbol": symbol}


ISO_DATE = {"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"}}
TIME = {"timeZone": "America/New_York", "timeFormat": {"name": "24hour", "format": "HH:mm"}, **ISO_DATE}
STAMP = {"result": {"type": "dateTime", "options": {**TIME, "timeZone": "utc"}}}
CHECK = {"icon": "check", "color": "greenBright"}


def link(table: str, name: str, to: str, inverse: str, *, is_single: bool = False) -> Json:
    return {
        "linkedTableId": table_id(to),
        "isReversed": False,
        "prefersSingleRecordLink": is_single,
        "inverseLinkFieldId": field_id(to, inverse),
    }


def count(table: str, of: str) -> Json:
    return {"isValid": True, "recordLinkFieldId": field_id(table, of)}


def lookup(table: str, of: str, there: str, name: str, result: Json) -> Json:
    return {
        "isValid": True,
        "recordLinkFieldId": field_id(table, of),
        "fieldIdInLinkedTable": field_id(there, name),
        "result": result,
    }


def formula(table: str, text: str, *names: str, result: Json) -> Json:
    ids = [field_id(table, name) for name in names]
    return {"isValid": True, "formula": text.format(*ids), "referencedFieldIds": ids, "result": result}


def table(name: str, described: str | None, *columns: tuple[str, str, Json | None]) -> Table:
    found: list[Json] = []
    for column, kind, options in columns:
        item: Json = {"id": field_id(name, column), "name": column, "type": kind}
        if options is not None:
            item["options"] = options
        found.append(item)
    ids = [item["id"] for item in found]
    grid: Json = {"id": identity("viw", name), "name": "Grid view", "type": "grid", "visibleFieldIds": ids}
    return Table(table_id(name), name, found, [grid], ids[0], described)


def tables(channels: list[str]) -> dict[str, Table]:
    found = [
        table(
            CAMPAIGNS,
            "What we pay for advertising, by event and channel",
            ("Campaign", "singleLineText", None),
            ("Eventbrite event", "singleLineText", None),
            ("Channel", "singleSelect", choices(*channels, of=CAMPAIGNS)),
            ("Spend, in the event's currency", "currency", money()),
            ("Seen", "number", number()),
            ("Clicks", "number", number()),
            ("Claimed sales", "number", number()),
            ("From", "date", ISO_DATE),
            ("Until", "date", ISO_DATE),
            ("Paid", "checkbox", CHECK),
            ("Material", "multipleAttachments", {"isReversed": False}),
            ("Tags", "multipleSelects", choices("print", "social 💬", "barter", of="Tags")),
            ("Owner", "singleCollaborator", None),
            (
                "Cost per click",
                "formula",
                formula(
                    CAMPAIGNS,
                    "{{{0}}}/{{{1}}}",
                    "Spend, in the event's currency",
                    "Clicks",
                    result={"type": "number", "options": number(2)},
                ),
            ),
            ("Notes", "multilineText", None),
            ("No.", "autoNumber", None),
            ("Added", "createdTime", STAMP),
            ("Changed", "lastModifiedTime", {"isValid": True, "referencedFieldIds": [], **STAMP}),
        ),
        table(
            ROOMS,
            None,
            ("Room", "singleLineText", None),
            ("Town", "singleLineText", None),
            ("State / region", "singleLineText", None),
            ("Country", "singleSelect", choices("US", "GB", "DE", "NZ", of=ROOMS)),
            ("Seats", "number", number()),
            ("Seated only", "checkbox", CHECK),
            ("Rating", "rating", {"icon": "star", "max": 5, "color": "yellowBright"}),
            ("Rent", "currency", money()),
            ("Our share of the bar", "percent", number(1)),
            ("Get-in", "duration", {"durationFormat": "h:mm"}),
            ("E-mail", "email", None),
            ("Phone", "phoneNumber", None),
            ("Site", "url", None),
            ("Plan", "multipleAttachments", {"isReversed": False}),
            ("Shows", "multipleRecordLinks", link(ROOMS, "Shows", SHOWS, "Room")),
            ("Shows there", "count", count(ROOMS, "Shows")),
            (
                "Show dates",
                "multipleLookupValues",
                lookup(ROOMS, "Shows", SHOWS, "Day", {"type": "date", "options": ISO_DATE}),
            ),
            ("Notes", "richText", None),
        ),
        table(
            SHOWS,
            "House concerts and hires. What Eventbrite sells is not here, or says so.",
            ("Show", "singleLineText", None),
            ("Day", "date", ISO_DATE),
            ("Doors", "dateTime", TIME),
            ("Status", "singleSelect", choices("Confirmed", "Cancelled", "Idea 💡", of=SHOWS)),
            ("Room", "multipleRecordLinks", link(SHOWS, "Room", ROOMS, "Shows", is_single=True)),
            (
                "Town",
                "multipleLookupValues",
                lookup(SHOWS, "Room", ROOMS, "Town", {"type": "singleLineText"}),
            ),
            ("Seats on sale", "number", number()),
            ("Currency", "singleSelect", choices("USD", "EUR", "GBP", of="Currency")),
            ("Price", "currency", money()),
            ("Eventbrite ID", "singleLineText", None),
            ("Crew", "multipleRecordLinks", link(SHOWS, "Crew", ROTA, "Show")),
        ),
        table(
            ROTA,
            None,
            (
                "Shift",
                "formula",
                formula(ROTA, "{{{0}}}&' · '&{{{1}}}", "Who", "Date", result={"type": "singleLineText"}),
            ),
            ("Who", "singleLineText", None),
            ("Mail", "email", None),
            ("Date", "date", ISO_DATE),
            ("Hours", "number", number(1)),
            ("Paid", "checkbox", CHECK),
            ("Skills", "multipleSelects", choices("bar", "door", "sound", "lights", of=ROTA)),
            ("Show", "multipleRecordLinks", link(ROTA, "Show", SHOWS, "Crew")),
        ),
        table(
            VENUES,
            "Begun by hand",
            ("Venue", "singleLineText", None),
            ("Capacity", "number", number()),
            ("Load-in", "multilineText", None),
            ("Favourite", "checkbox", CHECK),
        ),
    ]
    paid: Json = {"id": identity("viw", "paid"), "name": "Still to pay", "type": "grid"}
    paid["_filter"] = "NOT({Paid})"
    paid["visibleFieldIds"] = [field_id(CAMPAIGNS, "Campaign"), field_id(CAMPAIGNS, "Channel")]
    paid["_sort"] = [{"field": "Campaign", "direction": "asc"}]
    found[0].views.append(paid)
    return {item.name: item for item in found}


def make(world: World) -> StaffBase:
    """The base that stands beside this account. Made before days pass in it."""
    return _Maker(world).make()


class _Maker:
    def __init__(self, world: World) -> None:
        self.world, self.rng, self.as_of = world, Random(f"{world.seed}/airtable"), world.as_of
        self.tally = Tally()
        days: dict[tuple[str, str], list[str]] = {}
        for event, channel, day, _ in world.tally.channels:
            if channel and day:
                days.setdefault((event, channel), []).append(day)
        self.days = {known: sorted(found) for known, found in sorted(days.items())}
        channels = {"newsletter", *(channel for _, channel in days)}
        self.channel_names = {channel: channel.title() for channel in sorted(channels)}
        self.tables = tables([*self.channel_names.values(), "Billboard 🪧"])

    def make(self) -> StaffBase:
        self.rooms: list[str] = []
        self.shows: dict[str, str] = {}  # record: key of the event it is
        venues = self.make_rooms()
        self.make_shows()
        self.make_campaigns()
        self.make_rota()
        self.make_venues()
        base = Base(BASE_ID, "Lantern Hall 🏮", tables=list(self.tables.values()))
        return StaffBase(base, self.tally, venues)

    def add(self, name: str, cells: Json, days_ago: float | None = None) -> str:
        """One record, its cells by field name; None stays away. Times fall before as_of."""
        item = self.tables[name]
        item.last_record += 1
        key = identity("rec", item.id, item.last_record)
        ago = self.rng.uniform(5, 200) if days_ago is None else days_ago
        created = int((self.as_of - ago * DAY).timestamp()) * 1000
        modified = created + self.rng.choice((0, 0, 90_000, int(ago * 40_000_000)))
        kept = {field_id(name, column): cell for column, cell in cells.items() if cell is not None}
        item.records[key] = Record(key, item.last_record, created, modified, kept)
        return key

    def attachment(self, name: str, kind: str = "application/pdf") -> Json:
        key = identity("att", name)
        return {
            "id": key,
            "url": f"https://v5.airtableusercontent.example/{key}/{name}",
            "filename": name,
            "size": self.rng.randrange(2_000, 900_000),
            "type": kind,
        }

    def make_rooms(self) -> dict[str, Json]:
        rng = self.rng
        online = [item for item in self.world.objects["venues"] if item["capacity"] == 150]
        spelled = (str.upper, lambda name: name.replace(" ", "  "), lambda name: f"{name.lower()}.")
        rows: list[tuple[str, str | None, str | None, str | None, int | None, list[str]]] = []
        for place, venue in enumerate(online[:6]):
            where = venue["address"]
            same = [
                item["id"]
                for item in self.world.objects["venues"]
                if fold(item["name"]) == fold(venue["name"])
                and (item["address"] or {}).get("city") == where["city"]
            ]
            country = where["country"] if where["country"] in ("US", "GB", "DE", "NZ") else None
            seats = 150 if place % 2 else None
            name = spelled[place % 3](venue["name"])
            rows.append((name, where["city"], where["region"], country, seats, same))
        rows.insert(2, ("Die Alte Wäscherei 🧺", "Berlin", "BE", "DE", 60, []))
        rows.append(("Rooftop (summer only)", "New York", "NY", "US", None, []))
        found = {}
        for place, (name, town, region, country, seats, same) in enumerate(rows):
            key = self.add(
                ROOMS,
                {
                    "Room": name,
                    "Town": town,
                    "State / region": region,
                    "Country": country,
                    "Seats": seats,
                    "Seated only": True if place % 3 == 1 else None,
                    "Rating": place % 6 or None,
                    "Rent": rng.randrange(0, 90000) / 100 if place % 4 else 0,
                    "Our share of the bar": None if place % 5 == 2 else round(rng.uniform(0, 0.4), 3),
                    "Get-in": 3600 * place or None,
                    "E-mail": f"room{place}@example.org" if place % 2 else None,
                    "Phone": "+1 555-0100" if place == 0 else None,
                    "Site": "https://example.org/rooms" if place < 3 else None,
                    "Plan": [self.attachment(f"plan-{place}.pdf")] if place % 4 == 0 else None,
                    "Notes": "Stairs *only* 🙃\n" if place == 1 else None,
                },
            )
            self.rooms.append(key)
            self.tally.venue(f"airtable-{key}", name=name, city=town, capacity=seats)
            found[key] = {
                "venue_name": name,
                "city": town,
                "region": region,
                "country": country,
                "capacity": seats,
                "same_as": [f"eventbrite-{identity}" for identity in same],
            }
        return found

    def make_shows(self) -> None:
        online = min(event for event, _ in self.days)
        # title, days from as_of, status, place in rooms, seats on sale, currency, Eventbrite ID
        rows: list[tuple[str, int | None, str | None, int | None, int | None, str | None, str | None]] = [
            ("Wäscherei Session № 1", -41, "Confirmed", 2, None, "EUR", None),
            ("Kids' matinée", -12, "Confirmed", 2, 40, "EUR", None),
            ('Private hire: "A & B"', -3, "Cancelled", 0, 90, "USD", None),
            ("Online after all", -60, "Confirmed", 2, 55, "EUR", online.partition("-")[2]),
            ("Open mic 🎤", 9, "Confirmed", 7, 0, None, None),
            ("Rooftop opening", 77, "Idea 💡", 7, 120, "USD", "899999999998"),
            ("To be named", None, None, None, None, None, None),
        ]
        records = list(self.tables[ROOMS].records.values())
        for title, days, status, place, seats, currency, same_as in rows:
            day = None if days is None else (self.as_of + days * DAY).date()
            room = None if place is None else self.rooms[place]
            doors = None if day is None else datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC)
            key = self.add(
                SHOWS,
                {
                    "Show": title,
                    "Day": day and day.isoformat(),
                    "Doors": doors and iso(int(doors.timestamp()) * 1000),
                    "Status": status,
                    "Room": room and [room],
                    "Seats on sale": seats,
                    "Currency": currency,
                    "Price": 0 if title.startswith("Open") else 12.5,
                    "Eventbrite ID": same_as,
                },
            )
            if place is not None:
                records[place].cells.setdefault(field_id(ROOMS, "Shows"), []).append(key)
            if same_as == online.partition("-")[2]:
                self.shows[key] = online
                continue
            self.shows[key] = f"airtable-{key}"
            midnight = None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY
            self.tally.event(
                self.shows[key],
                name=title,
                status=status and status.lower(),
                currency=currency,
                capacity=seats,
                # over when its date is before that of as_of
                over_after=midnight.timestamp() - 0.001 if midnight else None,
                is_cancelled=status == "Cancelled",
                venue=room and f"airtable-{room}",
            )

    def make_campaigns(self) -> None:
        rng, unknown = self.rng, self.tally.unknown_event("airtable")
        for known in rng.sample(list(self.days), min(60, len(self.days))):
            event, channel = known
            days = self.days[known]
            turns = 2 if rng.random() < 0.15 else 1
            for turn in range(turns):
                first, last = days[len(days) // 4 * turn], days[-1 - len(days) // 5]
                self.campaign(event, event.partition("-")[2], channel, first, max(first, last))
        shows = list(self.shows)
        for place, text in ((1, shows[1]), (3, shows[3]), (5, "899999999998")):
            self.campaign(self.shows[shows[place]], text, "newsletter", None, None)
        self.campaign(unknown, "899999999999", "newsletter", None, None)
        self.campaign(unknown, None, "newsletter", "2026-01-01", None)
        self.campaign(unknown, None, None, None, None)
        self.campaign(unknown, None, "billboard", "2025-12-01", "2026-01-31")
        self.add(CAMPAIGNS, {})  # somebody pressed "+" and went for lunch
        self.tally.campaign(
            unknown, "unknown", spend=None, impressions=None, clicks=None, start=None, end=None
        )

    def campaign(
        self, event: str, text: str | None, channel: str | None, first: str | None, last: str | None
    ) -> None:
        rng, place = self.rng, self.tables[CAMPAIGNS].last_record
        spend: int | None = rng.randrange(1500, 80000)  # hundredths
        clicks: int | None = rng.randrange(20, 900)
        seen: int | None = clicks * rng.randrange(15, 60) if clicks else None
        if place % 12 == 5:
            spend = None
        elif place % 12 == 8:
            spend = 0
        if place % 10 == 3:
            clicks = seen = None
        elif place % 10 == 6:
            clicks = 0
        if place % 7 == 2:
            first = None
        if place % 9 == 4:
            last = None
        name = {"billboard": "Billboard 🪧", None: None}.get(channel) or self.channel_names.get(channel or "")
        per_click: Any = None if spend is None else {"error": "#ERROR!"} if clicks is None else None
        if spend is not None and clicks is not None:
            per_click = spend / 100 / clicks if clicks else {"specialValue": "NaN"}
        self.add(
            CAMPAIGNS,
            {
                "Campaign": f"{name or 'Something'} {place + 1}" if place % 11 else None,
                "Eventbrite event": f" {text} " if text and place % 8 == 1 else text,
                "Channel": name,
                "Spend, in the event's currency": None if spend is None else spend / 100,
                "Seen": seen,
                "Clicks": clicks,
                "Claimed sales": rng.randrange(30) if place % 3 else None,
                "From": first,
                "Until": last,
                "Paid": True if rng.random() < 0.6 else None,
                "Material": [self.attachment("poster ✂.png", "image/png")] if place % 13 == 1 else None,
                "Tags": rng.sample(["print", "social 💬", "barter"], 2) if place % 5 == 0 else None,
                "Owner": {"id": identity("usr", "staff"), "email": "ana@example.org", "name": "Ana Example"}
                if place % 4 == 0
                else None,
                "Cost per click": per_click,
                "Notes": "paid in kind 🥨\nask Bea" if place % 6 == 0 else None,
            },
        )
        self.tally.campaign(
            event,
            channel or "unknown",
            spend=None if spend is None else spend * (ONE // 100),
            impressions=seen,
            clicks=clicks,
            start=first,
            end=last,
        )

    def make_rota(self) -> None:
        rng = self.rng
        shows = list(self.tables[SHOWS].records.values())
        for place in range(130):
            given, family, mail = words.person(rng)
            day = (self.as_of - rng.randrange(-30, 90) * DAY).date().isoformat()
            show = shows[place % len(shows)] if place % 3 == 0 else None
            key = self.add(
                ROTA,
                {
                    "Shift": f"{given} {family} · {day}",
                    "Who": f"{given} {family}",
                    "Mail": mail,
                    "Date": day,
                    "Hours": rng.choice((0, 2.5, 4, 8)),
                    "Paid": True if place % 2 else None,
                    "Skills": rng.sample(["bar", "door", "sound", "lights"], rng.randrange(3)) or None,
                    "Show": [show.id] if show else None,
                },
            )
            if show:
                show.cells.setdefault(field_id(SHOWS, "Crew"), []).append(key)

    def make_venues(self) -> None:
        """Three halls of Eventbrite as people spell them, each meaning one place, and one of nobody else."""
        places: dict[str | None, set[str | None]] = {}
        for venue in self.world.objects["venues"]:
            places.setdefault(fold(venue["name"]), set()).add((venue["address"] or {}).get("city"))
        known = [
            venue["name"]
            for venue in self.world.objects["venues"]
            if len(places[fold(venue["name"])]) == 1 and venue["name"].strip()
        ]
        names = list({fold(name): name for name in known}.values())[-3:]
        self.add(VENUES, {"Venue": names[0].upper(), "Load-in": "Dock 2 🚚\nring twice", "Favourite": True})
        self.add(VENUES, {"Venue": names[1].replace(" ", "  ") + " ", "Capacity": 0})
        self.add(VENUES, {"Venue": "Grandma's barn", "Capacity": 35, "Favourite": True})
        self.add(VENUES, {"Venue": f"{names[2].lower()}."})
