"""What gold must show, summed while each row of a generated world is made.

A Tally never reads the finished objects and shares no code with ingest or models: it is the second
opinion the marts are held against. Money is whole ten-thousandths of a major unit inside and a decimal
string with four places outside.

Where the formulas leave room, the tally takes these readings:
- a ticket is free when its price is known to be 0; an unreadable price is not a free ticket;
- the money of a campaign row follows the event's own currency, its tickets count in every currency;
- a campaign group none of whose rows states a spend has no spend (None), so neither cpa nor roi; impressions
  and clicks likewise;
- a ticket without a readable sale date is attributed to nothing and is in `undated`, on no day of `daily`.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

PLACES = 4
ONE = 10**PLACES
MONEY = ("gross_revenue", "refunds_amount", "fees_amount", "tax_amount")


def to_text(amount: int) -> str:
    """Ten-thousandths to a decimal string: 125000 is '12.5000'."""
    sign = "-" if amount < 0 else ""
    whole, part = divmod(abs(amount), ONE)
    return f"{sign}{whole}.{part:0{PLACES}d}"


def fold(text: str | None) -> str | None:
    """A channel or name as it is compared: lower case, what is no letter or digit is one space."""
    words = "".join(letter if letter.isalnum() else " " for letter in (text or "").lower()).split()
    return " ".join(words) or None


@dataclass
class EventFacts:
    name: str | None
    status: str | None
    currency: str | None
    capacity: int | None  # its own or of its ticket classes
    venue: str | None
    over_after: float | None  # has ended when as_of, in epoch seconds, is greater; None: date unknown
    is_cancelled: bool
    sold: int = 0
    free: int = 0
    attended: int = 0
    is_scanned: bool = False
    is_deleted: bool = False
    tickets_by_currency: dict[str | None, int] = field(default_factory=lambda: defaultdict(int))
    money: dict[str | None, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0, 0]))


@dataclass
class CampaignFacts:
    spend: int | None = None
    impressions: int | None = None
    clicks: int | None = None
    spans: list[tuple[str | None, str | None]] = field(default_factory=list)

    def add(self, spend: int | None, impressions: int | None, clicks: int | None) -> None:
        """A sum of which nothing is known stays None."""
        self.spend = _sum(self.spend, spend)
        self.impressions = _sum(self.impressions, impressions)
        self.clicks = _sum(self.clicks, clicks)


class Tally:
    """Running sums. Every method adds; a negative number takes back what an earlier row had said."""

    def __init__(self) -> None:
        self.events: dict[str, EventFacts] = {}
        self.venues: dict[str, tuple[str | None, str | None, int | None]] = {}
        # (day, currency): tickets, gross, refunds, fees, tax
        self.days: dict[tuple[str | None, str | None], list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
        # (event, channel, day of sale, currency): valid tickets, gross less refunds
        self.channels: dict[tuple[str, str | None, str | None, str | None], list[int]] = defaultdict(
            lambda: [0, 0]
        )
        self.campaigns: dict[tuple[str, str], CampaignFacts] = defaultdict(CampaignFacts)

    def event(
        self,
        key: str,
        *,
        name: str | None,
        status: str | None,
        currency: str | None,
        capacity: int | None,
        over_after: float | None,
        is_cancelled: bool,
        venue: str | None = None,
    ) -> EventFacts:
        """`venue`: as told to `venue`; its capacity is the event's where nothing nearer is known."""
        self.events[key] = EventFacts(
            name, status, currency, capacity or None, venue, over_after, is_cancelled
        )
        return self.events[key]

    def venue(self, key: str, *, name: str | None, city: str | None, capacity: int | None) -> None:
        """`key` is source and id. Venues of one name are one place, unless their cities differ."""
        self.venues[key] = (fold(name), fold(city), capacity or None)

    def unknown_event(self, source: str) -> str:
        """The member that holds the money of rows whose event does not exist."""
        key = f"{source}-unknown"
        if key not in self.events:
            self.event(
                key,
                name="unknown",
                status="unknown",
                currency=None,
                capacity=None,
                over_after=None,
                is_cancelled=False,
            )
        return key

    def ticket(
        self,
        event: str,
        day: str | None,
        currency: str | None,
        channel: str | None,
        *,
        tickets: int = 0,
        sold: int = 0,
        free: int = 0,
        attended: int = 0,
        gross: int = 0,
        fees: int = 0,
        tax: int = 0,
    ) -> None:
        """`tickets` counts every row, `sold` the valid seats, `free` and `attended` those among them."""
        facts = self.events[event]
        facts.sold += sold
        facts.free += free
        facts.attended += attended
        facts.tickets_by_currency[currency] += tickets
        money = facts.money[currency]
        money[0] += gross
        money[2] += fees
        money[3] += tax
        row = self.days[day, currency]
        row[0] += sold
        row[1] += gross
        row[3] += fees
        row[4] += tax
        cell = self.channels[event, channel, day, currency]
        cell[0] += sold
        cell[1] += gross

    def refund(
        self,
        event: str,
        day: str | None,
        currency: str | None,
        channel: str | None,
        sold_day: str | None,
        amount: int,
    ) -> None:
        """`day` is the refund's own; a campaign sees it on the day its ticket was sold."""
        self.events[event].money[currency][1] += amount
        self.days[day, currency][2] += amount
        self.channels[event, channel, sold_day, currency][1] -= amount

    def campaign(
        self,
        event: str,
        channel: str,
        *,
        spend: int | None,
        impressions: int | None,
        clicks: int | None,
        start: str | None,
        end: str | None,
    ) -> None:
        facts = self.campaigns[event, channel]
        facts.add(spend, impressions, clicks)
        facts.spans.append((start, end))

    def truth(self, as_of: datetime) -> dict[str, Any]:
        """events: by event_key; currencies; daily: by date, then currency (days without rows are left out);
        undated: by currency, what has no readable date; campaigns: rows by event_key and channel;
        channels: what every channel sold, campaign or not."""
        now, halls = as_of.timestamp(), self._halls()
        currencies: dict[str | None, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        for facts in self.events.values():
            for currency, money in facts.money.items():
                for position, amount in enumerate(money):
                    currencies[currency][position] += amount
        daily: dict[str, dict[str | None, dict[str, Any]]] = defaultdict(dict)
        undated: dict[str | None, dict[str, Any]] = {}
        for (day, currency), (sold, gross, refunds, fees, tax) in sorted(self.days.items(), key=str):
            row = {"tickets_sold": sold, **_money([gross, refunds, fees, tax])}
            if day is not None:
                daily[day][currency] = row
            elif sold or any((gross, refunds, fees, tax)):
                undated[currency] = row
        return {
            "as_of": as_of.isoformat(),
            "events": {key: self._event(key, now, halls) for key in self.events},
            "currencies": {currency: _money(money) for currency, money in currencies.items() if any(money)},
            "daily": dict(daily),
            "undated": undated,
            "campaigns": self._campaigns(),
            "channels": self._channels(),
        }

    def currency_of(self, event: str) -> str | None:
        """The event's stated currency, else that of most of its tickets."""
        facts = self.events[event]
        counts = {name: count for name, count in facts.tickets_by_currency.items() if name and count}
        if facts.currency or not counts:
            return facts.currency
        return min(counts, key=lambda name: (-counts[name], name))

    def _halls(self) -> dict[str, int | None]:
        """Capacity by key of a venue: of all that are the same place, the first key that states one tells."""
        cities: dict[str | None, set[str]] = defaultdict(set)
        for name, city, _ in self.venues.values():
            cities[name] |= {city} if city else set()
        places: dict[Any, list[str]] = defaultdict(list)
        for key, (name, city, _) in sorted(self.venues.items()):
            only = next(iter(cities[name])) if len(cities[name]) == 1 else None
            places[(name, city or only) if name else key].append(key)
        halls: dict[str, int | None] = {}
        for keys in places.values():
            stated = next((self.venues[key][2] for key in keys if self.venues[key][2]), None)
            halls |= dict.fromkeys(keys, stated)
        return halls

    def _event(self, key: str, now: float, halls: dict[str, int | None]) -> dict[str, Any]:
        facts = self.events[key]
        capacity = facts.capacity or halls.get(facts.venue or "")
        currency = self.currency_of(key)
        has_ended = facts.over_after is not None and now > facts.over_after
        is_rated = has_ended and not facts.is_cancelled and facts.is_scanned and facts.sold > 0
        return {
            "event_name": facts.name,
            "status": facts.status,
            "is_deleted": facts.is_deleted,
            "currency": currency,
            "capacity": capacity,
            "tickets_sold": facts.sold,
            "tickets_free": facts.free,
            "attendance": facts.attended,
            "is_checkin_tracked": facts.is_scanned,
            "sell_through": facts.sold / capacity if capacity else None,
            "no_show_rate": 1 - facts.attended / facts.sold if is_rated else None,
            **_money(facts.money.get(currency, [0, 0, 0, 0])),
            "money": {name: _money(money) for name, money in facts.money.items() if any(money)},
        }

    def _campaigns(self) -> list[dict[str, Any]]:
        """One row per event and channel, and one `unattributed` row per event for all else it sold."""
        won: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        rest: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        currency_of = {key: self.currency_of(key) for key in self.events}
        campaigns: dict[tuple[str, str], CampaignFacts] = defaultdict(CampaignFacts)
        for (event, name), facts in self.campaigns.items():
            # the campaign of an event that is not here belongs to the unknown one of the sheets
            group = campaigns[event if event in self.events else "sheets-unknown", name]
            group.add(facts.spend, facts.impressions, facts.clicks)
            group.spans += facts.spans
        for (event, channel, day, currency), (sold, revenue) in self.channels.items():
            campaign = campaigns.get((event, channel or ""))
            is_won = (
                campaign is not None
                and day is not None
                and any(
                    (start is None or start <= day) and (end is None or day <= end)
                    for start, end in campaign.spans
                )
            )
            cell = won[event, channel or ""] if is_won else rest[event]
            cell[0] += sold
            cell[1] += revenue if currency == currency_of.get(event) else 0
        rows = []
        for (event, name), facts in campaigns.items():
            sold, revenue = won[event, name]
            spend = facts.spend
            rows.append(
                {
                    "event_key": event,
                    "channel": name,
                    "currency": currency_of.get(event),
                    "spend": None if spend is None else to_text(spend),
                    "impressions": facts.impressions,
                    "clicks": facts.clicks,
                    "conv_tickets": sold,
                    "conv_revenue": to_text(revenue),
                    "cpa": None if spend is None or not sold else spend / ONE / sold,
                    "roi": (revenue - spend) / spend if spend else None,
                }
            )
        for event, stated in currency_of.items():
            rows.append(
                {
                    "event_key": event,
                    "channel": "unattributed",
                    "currency": stated,
                    "conv_tickets": rest[event][0],
                    "conv_revenue": to_text(rest[event][1]),
                }
            )
        return sorted(rows, key=lambda row: (row["event_key"], row["channel"]))

    def _channels(self) -> dict[str, dict[str, dict[str, Any]]]:
        sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        currency_of = {key: self.currency_of(key) for key in self.events}
        for (event, channel, _, currency), (sold, revenue) in self.channels.items():
            cell = sums[event, channel or "none"]
            cell[0] += sold
            cell[1] += revenue if currency == currency_of[event] else 0
        channels: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for (event, channel), (sold, revenue) in sorted(sums.items()):
            channels[event][channel] = {"tickets": sold, "revenue": to_text(revenue)}
        return dict(channels)


def merged(tallies: Iterable[Tally]) -> Tally:
    """One tally of several sources, so that a campaign of a sheet can meet the tickets of Eventbrite.

    Campaigns of one event and channel are one, wherever they are kept.
    """
    total = Tally()
    for tally in tallies:
        total.events.update(tally.events)
        total.venues.update(tally.venues)
        for known, facts in tally.campaigns.items():
            total.campaigns[known].add(facts.spend, facts.impressions, facts.clicks)
            total.campaigns[known].spans += facts.spans
        for day, row in tally.days.items():
            total.days[day] = [old + new for old, new in zip(total.days[day], row, strict=True)]
        for cell, pair in tally.channels.items():
            total.channels[cell] = [old + new for old, new in zip(total.channels[cell], pair, strict=True)]
    return total


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else (one or 0) + other


def _money(money: list[int]) -> dict[str, str]:
    gross, refunds, fees, tax = money
    texts = dict(zip(MONEY, map(to_text, money), strict=True))
    return {**texts, "net_revenue": to_text(gross - refunds - fees - tax)}
