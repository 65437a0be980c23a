"""What the decision tables of CiviCRM look at and give: an order's document, what the site holds, writes.

Ids below 0 stand for records that are yet to be made. Money is in hundredths of its currency, as the site
keeps it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from boxoffice.errors import BoxofficeError, ConfigurationError
from reverse_etl.journal import Rejection

REMOVED = "Removed_in_EventBrite"
PAY_LATER = "Pending from pay later"
STOCK_RULE = "Individual.Unsupervised"
Row = dict[str, Any]
# Entity and id of a record, to its fields, to what was said of them.
Said = dict[tuple[str, int | str], dict[str, str]]

CHOICES = {
    "new_email": ("existing", "new"),
    "other_primary_email": ("add", "replace"),
    "checked_in_but_cancelled": ("cancelled", "attended"),
    "unpaid": ("registered", "pending"),
    "refunds": ("amount", "ledger"),
    "amount": ("attendees", "order"),
    "deleted_contribution": ("recreate", "leave"),
}


@dataclass(frozen=True)
class Policies:
    """Rows of settings.csv for civicrm; the first value of each is the default.

    new_email: whose e-mail is changed to that of another contact becomes that contact, or a new one (A5).
    other_primary_email: an e-mail is added to a contact that has another, or takes its place.
    checked_in_but_cancelled: what such a participant is (P2). unpaid: what those of an unpaid order are (P4).
    refunds: lower the contribution, or book them as payments (C8 to C11). amount: of an order with
    unmapped ticket classes, what its mapped attendees paid, or all (C7). deleted_contribution: make it again
    once, or not (C13). dedupe_rule: name or id of the rule that tells who is whom; event: the event's own.
    max_removed_share: of all linked participants; where more are gone at once, none is taken out (O7).
    """

    new_email: str = "existing"
    other_primary_email: str = "add"
    checked_in_but_cancelled: str = "cancelled"
    unpaid: str = "registered"
    refunds: str = "amount"
    amount: str = "attendees"
    deleted_contribution: str = "recreate"
    dedupe_rule: str = STOCK_RULE
    max_removed_share: float = 0.2


def policies(rows: Mapping[str, str]) -> Policies:
    """Raises ConfigurationError for a name or a value in settings.csv that means nothing."""
    known = sorted(each.name for each in fields(Policies))
    for name, value in rows.items():
        if name not in known:
            raise ConfigurationError(
                f"settings.csv sets {name} for civicrm, which there is not.", f"There are {', '.join(known)}."
            )
        if name in CHOICES and value.lower() not in CHOICES[name]:
            remedy = f"Use {' or '.join(CHOICES[name])}."
            raise ConfigurationError(f"{name} is {value!r} for civicrm.", remedy)
    said: dict[str, Any] = {name: value.lower() if name in CHOICES else value for name, value in rows.items()}
    if (share := said.get("max_removed_share")) is not None:
        try:
            said["max_removed_share"] = float(share)
        except ValueError:
            said["max_removed_share"] = -1.0
        if not 0 <= said["max_removed_share"] <= 1:
            raise ConfigurationError(
                f"max_removed_share is {share!r} for civicrm.", "Use a number from 0 to 1, such as 0.2."
            )
    return Policies(**said)


@dataclass(frozen=True)
class Attendee:
    """A row of sync_civicrm__attendees."""

    attendee_id: str
    order_id: str
    civicrm_event: str
    ticket_class_id: str | None = None
    ticket_class_name: str | None = None
    civicrm_role: str | None = None
    status: str | None = "valid"
    is_gone: bool = False
    is_checked_in: bool = False
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    work_phone: str | None = None
    address_1: str | None = None
    address_2: str | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str | None = None
    created_at: datetime | None = None
    changed_at: datetime | None = None
    gross_minor: int | None = None
    fees_minor: int | None = None

    @property
    def marker(self) -> str:
        return f"Eventbrite attendee {self.attendee_id}"

    @property
    def has_profile(self) -> bool:
        return bool(self.email or self.first_name or self.last_name)


@dataclass(frozen=True)
class Order:
    """A row of sync_civicrm__orders with its attendees, in ascending order of their ids.

    is_known: False where only attendees have landed yet (O2).
    """

    order_id: str
    civicrm_event: str
    attendees: tuple[Attendee, ...] = ()
    event_id: str | None = None
    event_name: str | None = None
    status: str | None = "placed"
    is_paid: bool = True
    is_offline: bool = False
    ordered_at: datetime | None = None
    changed_at: datetime | None = None
    currency: str | None = None
    currency_exponent: int | None = 2
    gross_minor: int | None = 0
    fees_minor: int | None = 0
    is_known: bool = True
    fingerprint: str = ""

    @property
    def invoice(self) -> str:
        return f"EB-{self.order_id}"

    @property
    def is_over(self) -> bool:
        return self.status in ("cancelled", "canceled", "refunded", "deleted")

    def cents(self, minor: int | None) -> int:
        """Minor units of the order's currency in hundredths, which is what CiviCRM keeps."""
        exponent = 2 if self.currency_exponent is None else self.currency_exponent
        scaled = Decimal(minor or 0).scaleb(2 - exponent)
        return int(scaled.to_integral_value(ROUND_HALF_UP))


def in_order(key: str) -> tuple[int, int, str]:
    """For sorting: ids compare as numbers; what is no number comes after, as text."""
    return (0, int(key), "") if key.isdigit() else (1, 0, key)


def cents(amount: Any) -> int:
    """What the site says of an amount, in hundredths."""
    scaled = Decimal(str(amount if amount is not None else 0)).scaleb(2)
    return int(scaled.to_integral_value(ROUND_HALF_UP))


def amount(hundredths: int) -> str:
    return str(Decimal(hundredths).scaleb(-2).quantize(Decimal("0.01")))


@dataclass
class Facts:
    """What the site is like, read once a run. Names to ids where not said otherwise."""

    zone: ZoneInfo
    events: dict[str, list[Row]] = field(default_factory=dict)  # by the word of the mapping
    statuses: dict[str, int] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)  # casefolded name, label and value to value
    contribution_statuses: dict[str, int] = field(default_factory=dict)
    instruments: dict[str, str] = field(default_factory=dict)
    currencies: set[str] = field(default_factory=set)
    default_currency: str = ""
    locations: dict[str, int] = field(default_factory=dict)  # active ones
    default_location: int | None = None
    phone_types: dict[str, str] = field(default_factory=dict)
    countries: dict[str, int] = field(default_factory=dict)  # by ISO code
    states: dict[tuple[int, str], int] = field(default_factory=dict)  # by country, casefolded name or code
    removed: int | None = None  # the status that takes a participant out, when there is one
    new_ids: Iterable[int] = field(default_factory=lambda: count(-1, -1))

    def new_id(self) -> int:
        return next(iter(self.new_ids))

    def status_name(self, number: int | None) -> str | None:
        if number is not None and number == self.removed:
            return REMOVED
        return next((name for name, each in self.statuses.items() if each == number), None)

    def contribution_status_name(self, number: int | None) -> str | None:
        found = (name for name, each in self.contribution_statuses.items() if each == number)
        return next(found, None)

    def location(self, name: str) -> int | None:
        """The id of a location type; of the site's default where that one is switched off."""
        return self.locations.get(name, self.default_location)


@dataclass
class Live:
    """What was read of one order. `decide` applies its own writes to it as it goes.

    links: attendee to the participant it is linked to; linked_contacts: to the contact that this then was
    of. linked_elsewhere: attendees that were linked for another order until now. absent: attendees that are
    linked for this order and of which the models tell nothing, to their participants. returned: attendees
    that were gone and are not any more, to the participant that was taken out. marked: attendee to the
    participants that carry its marker; marked_contacts: to such contacts; former: to those it left and that
    are not known to be removed. doubted: attendees for whom a participant was to be made, and no answer
    came, to the contact that was named for it. others: contact to attendees of other orders who are it too.
    refusal: why the site does not tell who somebody of the order is.
    said: of a record, digests of what was said of its fields when the order was settled last; what else they
    hold since is a person's edit, and stays unless it `overwrites`.
    """

    facts: Facts
    links: dict[str, int] = field(default_factory=dict)
    linked_contacts: dict[str, int] = field(default_factory=dict)
    linked_elsewhere: set[str] = field(default_factory=set)
    absent: dict[str, int] = field(default_factory=dict)
    returned: dict[str, int] = field(default_factory=dict)
    marked: dict[str, list[int]] = field(default_factory=dict)
    marked_contacts: dict[str, list[int]] = field(default_factory=dict)
    former: dict[str, set[int]] = field(default_factory=dict)
    doubted: dict[str, int | None] = field(default_factory=dict)
    duplicates: dict[str, list[int]] = field(default_factory=dict)
    participants: dict[int, Row] = field(default_factory=dict)
    contacts: dict[int, Row] = field(default_factory=dict)
    emails: dict[int, list[Row]] = field(default_factory=dict)
    phones: dict[int, list[Row]] = field(default_factory=dict)
    addresses: dict[int, list[Row]] = field(default_factory=dict)
    merged: dict[int, int] = field(default_factory=dict)
    entered: set[tuple[int, int]] = field(default_factory=set)  # contact and event, by hand or import
    others: dict[int, list[Attendee]] = field(default_factory=dict)
    primary: str | None = None
    contribution_id: int | None = None  # as linked
    times_made: int = 0  # how often a contribution of the order was made
    contribution: Row | None = None
    payments: list[Row] = field(default_factory=list)
    refusal: BoxofficeError | None = None

    said: Said = field(default_factory=dict)
    digest: Callable[[Any], str] = repr
    overwrites: bool = False

    def is_removed(self, participant: Row) -> bool:
        return self.facts.removed is not None and participant["status_id"] == self.facts.removed


@dataclass(frozen=True)
class Keep:
    """What to remember, with the answer to a write or by itself. Ids below 0 are those of records made.

    link: attendee, contact and participant. unlink: attendee, participant and why. removed: attendee and the
    participant it has left.
    """

    rule: str
    link: tuple[str, int, int] | None = None
    unlink: tuple[str, int, str] | None = None
    removed: tuple[str, int] | None = None
    contribution: int | None = None
    primary: str | None = None


@dataclass(frozen=True)
class Write:
    """One call that changes something. key: the attendee or order it is for. made: stands for its id.

    before: what the site held in the fields it changes. rereads: what others hold may change with it. shared:
    attendees whose duplicates may be others since a contact was made.
    """

    rule: str
    entity: str
    action: str
    key: str
    values: Row
    before: Row = field(default_factory=dict)
    id: int | None = None
    made: int | None = None
    keep: Keep | None = None
    rereads: bool = False
    shared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Note:
    """Something that people should know of, and that is no error. key: attendee or order."""

    rule: str
    key: str
    text: str


@dataclass
class Decision:
    """steps: what to do, in order. rejection: why nothing of the order can be done; parked: why something of
    it cannot, so that the order is tried again. held: attendees that wait for what they lack. said:
    of a record, its fields as they are meant to be.
    """

    steps: list[Write | Keep] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    held: list[Rejection] = field(default_factory=list)
    rejection: Rejection | None = None
    parked: Rejection | None = None
    twice: list[tuple[str, int]] = field(default_factory=list)  # event and contact, registered before
    said: dict[tuple[str, int | str], Row] = field(default_factory=dict)

    @property
    def writes(self) -> list[Write]:
        return [step for step in self.steps if isinstance(step, Write)]
