"""Reads what a CiviCRM site holds of some orders: few calls of many reads each, whatever the orders are."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from reverse_etl.civicrm_api import Ask, Denied, Refused, Site, SiteError
from reverse_etl.civicrm_documents import Documents
from reverse_etl.civicrm_fields import as_typed
from reverse_etl.civicrm_state import REMOVED, Attendee, Facts, Live, Order, Policies, Row
from reverse_etl.links import Link, Links, OrderLink

MARKER = re.compile(r"Eventbrite attendee (\S+)")
EITHER = [True, False]
SAMPLE = 4  # records at least, to judge by how many of them can be seen
EVERYBODY = 10  # people looked for at once; where each of them is refused, it is not because of them
PARTICIPANT = (
    *("id", "contact_id", "event_id", "status_id", "role_id", "registered_by_id", "source"),
    "register_date",
)
CONTRIBUTION = (
    *("id", "contact_id", "total_amount", "fee_amount", "contribution_status_id", "currency"),
    *("invoice_id", "paid_amount"),
)
CONTACT = ("id", "first_name", "last_name", "is_deleted", "source")
EMAIL = ("id", "contact_id", "email", "is_primary", "location_type_id")
PHONE = ("id", "contact_id", "phone", "phone_type_id", "is_primary", "location_type_id")
ADDRESS = (
    *("id", "contact_id", "location_type_id", "street_address", "supplemental_address_1", "city"),
    *("postal_code", "postal_code_suffix", "country_id", "state_province_id"),
)
EVENT = (
    *("id", "title", "is_active", "is_template", "is_monetary", "financial_type_id", "currency"),
    "dedupe_rule_group_id",
)
# Who may not administer CiviCRM sees statuses this way only.
STATUSES = Ask(
    *("Participant", "getFields"),
    {"action": "get", "where": [["name", "=", "status_id"]], "loadOptions": ["id", "name", "label"]},
)
OPTIONS = (
    "participant_role",
    "payment_instrument",
    "contribution_status",
    "phone_type",
    "currencies_enabled",
)


def facts_of(site: Site, zone: ZoneInfo, words: Collection[str]) -> Facts:
    """What the site is like, and the events that the words of the mapping mean, in one call.

    Raises:
        SiteError: it does not tell.
    """
    ids = [int(word) for word in words if word.isdigit()]
    where = ["OR", [["id", "IN", ids or [0]], ["title", "IN", sorted(words) or [""]]]]
    groups = [["option_group_id:name", "IN", list(OPTIONS)]]
    option = ["option_group_id:name", "value", "name", "label", "is_active"]
    found = site.ask(
        [
            Ask("Event", "get", {"select": EVENT, "where": [where, ["is_template", "IN", EITHER]]}),
            STATUSES,
            Ask("OptionValue", "get", {"select": option, "where": groups}),
            Ask("LocationType", "get", {"select": ["id", "name", "is_active", "is_default"]}),
            Ask("Country", "get", {"select": ["id", "iso_code"]}),
        ]
    )
    events, statuses, options, locations, countries = map(_rows, found)
    facts = Facts(zone, default_currency=site.currency or "")
    for word in words:
        by_id = [row for row in events if str(row["id"]) == word]
        facts.events[word] = by_id or [
            row for row in events if same_title(row["title"], word) and not row.get("is_template")
        ]
        facts.events[word] = facts.events[word] or [row for row in events if same_title(row["title"], word)]
    _statuses(facts, statuses)
    for row in options:
        _option(facts, row)
    facts.locations = {row["name"]: int(row["id"]) for row in locations if row.get("is_active")}
    facts.default_location = next((int(row["id"]) for row in locations if row.get("is_default")), None)
    facts.countries = {row["iso_code"]: int(row["id"]) for row in countries if row.get("iso_code")}
    return facts


def check_sight(site: Site, linked: Sequence[tuple[int, int]]) -> None:
    """Find out whether the site shows what there must be: what the API user may not see it leaves out of its
    answers and says nothing, as if it had been deleted.

    Args:
        linked: some participants and their contacts.

    Raises:
        Denied: it does not. SiteError: it does not tell.
    """
    wanted = [{each[place] for each in linked} for place in (0, 1)]
    anybody = {"select": ["id"], "where": [["is_deleted", "IN", EITHER]], "limit": 2}
    found = site.ask(
        [
            Ask("Contact", "get", anybody),
            _ask("Participant", ["id"], ["id", "IN", sorted(wanted[0]) or [0]], "is_test"),
            _ask("Contact", ["id"], ["id", "IN", sorted(wanted[1]) or [0]], "is_deleted"),
        ]
    )
    contacts, *seen = map(_rows, found)
    remedy = (
        "Give it `view all contacts`, `access CiviEvent` and `view event participants`, and see that no"
        " access rule (ACL) hides any; `make doctor` tries each permission."
    )
    if len(contacts) < 2:
        problem = "The user of CIVICRM_API_KEY sees no contacts, so who is there already cannot be known."
        raise Denied("sight", problem, remedy)
    for what, there, rows in zip(("participants", "contacts"), wanted, seen, strict=True):
        if len(there) >= SAMPLE and 2 * len(rows) < len(there):
            raise Denied(
                "sight",
                f"Of {len(there)} {what} that were written, the user of CIVICRM_API_KEY sees {len(rows)}."
                " Nothing is written, as what only cannot be seen would be made a second time.",
                f"{remedy} If they were deleted in CiviCRM on purpose, --reconcile writes them again.",
            )


def look_at_statuses(site: Site, facts: Facts) -> None:
    """Read again what statuses participants can have: one may have been made."""
    _statuses(facts, site.read(STATUSES.entity, STATUSES.action, STATUSES.params))


def _statuses(facts: Facts, fields: Sequence[Row]) -> None:
    options = as_typed(fields[0].get("options")) if fields else []
    facts.statuses = {str(row["name"]): int(row["id"]) for row in options if isinstance(row, dict)}
    facts.removed = facts.statuses.get(REMOVED)


def same_title(title: str | None, word: str) -> bool:
    return (title or "").strip().casefold() == word.strip().casefold()


def _option(facts: Facts, row: Row) -> None:
    group, value = row["option_group_id:name"], str(row["value"])
    if group == "participant_role":
        for word in (value, row.get("label"), row.get("name")):
            facts.roles[str(word).casefold()] = value
    elif group == "payment_instrument":
        facts.instruments[row["name"]] = value
    elif group == "contribution_status":
        facts.contribution_statuses[row["name"]] = int(value)
    elif group == "phone_type":
        facts.phone_types[row["name"]] = value
    elif row.get("is_active", True):
        facts.currencies |= {value, str(row["name"])}


def _rows(found: list[Any] | SiteError) -> list[Row]:
    if isinstance(found, SiteError):
        raise found
    return found


class Reader:
    """Reads orders of one site.

    Args:
        documents: what is wanted of other orders. overwrites: people's edits are to be written over.
    """

    def __init__(
        self,
        site: Site,
        links: Links,
        facts: Facts,
        policies: Policies,
        documents: Documents,
        *,
        overwrites: bool = False,
    ) -> None:
        self._site, self._links, self._facts, self._overwrites = site, links, facts, overwrites
        self._policies, self._documents = policies, documents
        self._states_of: set[int] = set()

    def read(self, orders: Sequence[Order], known: dict[str, OrderLink]) -> dict[str, Live]:
        """Order id to what the site holds of it.

        Raises:
            SiteError: the site does not tell.
        """
        lives = {order.order_id: self._linked(order, known) for order in orders}
        links = {
            key: link
            for order in orders
            for key, link in self._links_of(order).items()
            if link.participant_id is not None
        }
        ids = {int(link.participant_id) for link in links.values() if link.participant_id is not None}
        ids |= {number for live in lives.values() for number in live.absent.values()}
        markers = {each.marker: each for order in orders for each in order.attendees}
        invoices = [order.invoice for order in orders]
        contributions = [live.contribution_id for live in lives.values() if live.contribution_id]
        countries = self._new_countries(orders)
        asks: list[Ask] = [
            _ask("Participant", PARTICIPANT, ["id", "IN", sorted(ids) or [0]], "is_test"),
            _ask("Participant", PARTICIPANT, ["source", "IN", sorted(markers) or [""]], "is_test"),
            _ask("Contact", CONTACT, ["source", "IN", sorted(markers) or [""]]),
            _ask(
                *("Contribution", CONTRIBUTION),
                ["OR", [["id", "IN", contributions or [0]], ["invoice_id", "IN", invoices]]],
                *("is_test", "is_template"),
            ),
            _ask(
                *("StateProvince", ("id", "name", "abbreviation", "country_id")),
                ["country_id", "IN", sorted(countries) or [0]],
            ),
        ]
        doubles = self._duplicate_asks(orders)
        found = self._site.ask([*asks, *(ask for ask, _ in doubles.values())])
        linked, marked, marked_contacts, held, states = map(_rows, found[: len(asks)])
        for row in states:
            for word in (row.get("name"), row.get("abbreviation")):
                self._facts.states[int(row["country_id"]), str(word).casefold()] = int(row["id"])
        self._states_of |= countries
        participants = {int(row["id"]): _typed(row) for row in (*linked, *marked)}
        people = found[len(asks) :]
        self._check_rule(people)
        for (_, owners), result in zip(doubles.values(), people, strict=True):
            for order_id, key in owners:
                if isinstance(result, Refused):
                    lives[order_id].refusal = result
                else:
                    lives[order_id].duplicates[key] = sorted({int(row["id"]) for row in _rows(result)})
        of_order = {attendee: order.order_id for order in orders for attendee in _ids(order)}
        for row in marked:
            if (key := _marked(row)) in of_order:
                lives[of_order[key]].marked.setdefault(key, []).append(int(row["id"]))
        doubted = {
            intent.key: intent.contact_id
            for intent in self._links.unanswered()
            if (intent.entity, intent.operation) == ("Participant", "create")
        }
        for live in lives.values():
            live.doubted = doubted
            for key, numbers in live.marked.items():
                if len(numbers) > 1:
                    live.former[key] = self._links.left_over(key)
                if key not in live.links:
                    taken = self._links.taken_for_gone(key)
                    if taken in numbers and live.is_removed(participants[taken]):
                        live.returned[key] = taken
        for row in marked_contacts:
            if (key := _marked(row)) in of_order:
                lives[of_order[key]].marked_contacts.setdefault(key, []).append(int(row["id"]))
        self._second(orders, lives, participants, held)
        return lives

    def duplicates(self, order: Order, keys: Collection[str]) -> dict[str, set[int]]:
        """Attendee to the contacts that are its duplicates now."""
        some = replace(order, attendees=tuple(each for each in order.attendees if each.attendee_id in keys))
        asked = list(self._duplicate_asks([some]).values())
        found = self._site.ask([ask for ask, _ in asked])
        return {
            key: {int(row["id"]) for row in _rows(result)}
            for (_, owners), result in zip(asked, found, strict=True)
            for _, key in owners
        }

    def _second(
        self,
        orders: Sequence[Order],
        lives: dict[str, Live],
        participants: dict[int, Row],
        held: Sequence[Row],
    ) -> None:
        """What hangs on what the first call found."""
        numbers = sorted(participants)
        contacts = {row["contact_id"] for row in participants.values()}
        for live in lives.values():
            for some in (*live.duplicates.values(), *live.marked_contacts.values()):
                contacts.update(some)
        asks = [
            _ask("Participant", PARTICIPANT, ["registered_by_id", "IN", numbers or [0]], "is_test"),
            *_contact_asks(contacts),
        ]
        if new := _who_are_new(orders, lives):
            asks.append(_ask("Participant", PARTICIPANT, ["contact_id", "IN", sorted(new)]))
        found = [_rows(each) for each in self._site.ask(asks)]
        registered = {int(row["id"]): _typed(row) for row in found[0]}
        parts, entered = found[1:5], self._entered(found[5]) if new else set()
        gone = [int(row["id"]) for row in parts[0] if row.get("is_deleted")]
        merged, untold = self._merged(gone)
        if more := set(merged.values()) - contacts:
            for part, rows in zip(parts, map(_rows, self._site.ask(_contact_asks(more))), strict=True):
                part += rows
        payments: list[Row] = []
        if held:
            wanted = {"contribution_id": {"IN": [int(row["id"]) for row in held]}}
            payments = self._site.get3("ParticipantPayment", wanted)
        sharing = self._links.attendees_of(int(row["id"]) for row in parts[0])
        others = {each.attendee_id: each for each in self._documents.attendees(sharing)}
        for order in orders:
            live = lives[order.order_id]
            own_ids = set(_ids(order))
            for key, contact in sharing.items():
                if key in others and key not in own_ids:
                    live.others.setdefault(contact, []).append(others[key])
            live.participants = participants | registered
            self._keep_own(order, live)
            live.merged, live.entered = merged, entered
            own = {row["contact_id"] for row in live.participants.values()}
            own.update(*live.duplicates.values(), *live.marked_contacts.values())
            live.refusal = next((untold[each] for each in sorted(own & set(untold))), live.refusal)
            live.contacts = {int(row["id"]): {**row, "id": int(row["id"])} for row in parts[0]}
            for kind, rows in zip((live.emails, live.phones, live.addresses), parts[1:], strict=True):
                for row in rows:
                    kind.setdefault(int(row["contact_id"]), []).append(dict(row))
            live.contribution = _contribution(order, live, held)
            if live.contribution is not None:
                live.payments = [
                    {name: int(each[name]) for name in ("id", "participant_id", "contribution_id")}
                    for each in payments
                    if int(each["contribution_id"]) == live.contribution["id"]
                ]

    def _entered(self, rows: Sequence[Row]) -> set[tuple[int, int]]:
        """Contact and event of the participants that are nobody's of Eventbrite and coming."""
        return {
            (int(row["contact_id"]), int(row["event_id"]))
            for row in rows
            if not _marked(row)
            and self._facts.status_name(int(row["status_id"])) not in (REMOVED, "Cancelled")
        }

    def _keep_own(self, order: Order, live: Live) -> None:
        """Of the participants read, those of this order; and those of it that only their markers tell of."""
        own = {*live.links.values(), *live.absent.values()}
        own |= {number for numbers in live.marked.values() for number in numbers}
        attendees = set(_ids(order))
        strays: dict[str, int] = {}
        for number, row in live.participants.items():
            if row["registered_by_id"] in own and number not in own:
                key = _marked(row)
                own = own | {number}
                if key and key not in attendees and not live.is_removed(row):
                    strays[key] = number
        linked = {key: self._links.participant(key) for key in strays}
        strays = {
            key: number
            for key, number in strays.items()
            if (link := linked[key]) is None or link.order_id == order.order_id
        }
        elsewhere = self._documents.elsewhere(list(strays), order.order_id) if strays else set()
        live.absent |= {key: number for key, number in strays.items() if key not in elsewhere}
        live.participants = {
            number: dict(live.participants[number]) for number in own & set(live.participants)
        }

    def _links_of(self, order: Order) -> dict[str, Link]:
        found = {link.attendee_id: link for link in self._links.of_order(order.order_id)}
        for key in _ids(order):
            if key not in found and (link := self._links.participant(key)) is not None:
                found[key] = link
        return found

    def _linked(self, order: Order, known: dict[str, OrderLink]) -> Live:
        live = Live(self._facts, said=self._links.said(order.order_id), digest=self._links.digest)
        live.overwrites = self._overwrites
        attendees = set(_ids(order))
        links = self._links_of(order)
        missing = [key for key in links if key not in attendees]
        elsewhere = self._documents.elsewhere(missing, order.order_id) if missing else set()
        for key, link in links.items():
            if link.new_contact_id is not None:
                live.marked_contacts[key] = [link.new_contact_id]
            if link.participant_id is None:
                continue
            if key in attendees:
                live.links[key] = link.participant_id
                live.linked_contacts[key] = link.contact_id
                if link.order_id != order.order_id:
                    live.linked_elsewhere.add(key)
            elif key not in elsewhere:
                live.absent[key] = link.participant_id
        held = known.get(order.order_id, OrderLink())
        live.primary, live.contribution_id = held.primary_attendee, held.contribution_id
        if live.contribution_id is not None:
            live.times_made = self._links.times_made(order.order_id)
        return live

    def _new_countries(self, orders: Iterable[Order]) -> set[int]:
        said = {each.country for order in orders for each in order.attendees if each.country and each.region}
        found = (self._facts.countries.get(country.upper()) for country in said)
        return {country for country in found if country is not None} - self._states_of

    def _duplicate_asks(self, orders: Iterable[Order]) -> dict[bytes, tuple[Ask, list[tuple[str, str]]]]:
        """One ask per person; whose they are: order and attendee."""
        found: dict[bytes, tuple[Ask, list[tuple[str, str]]]] = {}
        for order in orders:
            for attendee in order.attendees:
                if not attendee.has_profile or attendee.is_gone:
                    continue
                params = {"dedupeRule": self._rule(order), "values": identity(attendee)}
                asked = orjson.dumps(params)
                ask = Ask("Contact", "getDuplicates", params)
                found.setdefault(asked, (ask, []))[1].append((order.order_id, attendee.attendee_id))
        return found

    def _rule(self, order: Order) -> str | int:
        wish = self._policies.dedupe_rule
        if wish.casefold() == "event":
            events = self._facts.events.get(order.civicrm_event, [])
            own = events[0].get("dedupe_rule_group_id") if len(events) == 1 else None
            return int(own) if own else Policies.dedupe_rule
        return int(wish) if wish.isdigit() else wish

    def _check_rule(self, found: Sequence[list[Any] | SiteError]) -> None:
        """Raises Refused where it is not some people that the site does not look for, but everybody."""
        refused = [each for each in found if isinstance(each, Refused)]
        is_everybody = len(refused) == len(found) >= EVERYBODY
        if self._policies.dedupe_rule.casefold() != "event":
            for each in refused:
                if is_everybody or each.rule == "dedupe rule":
                    raise each

    def _merged(self, gone: Sequence[int]) -> tuple[dict[int, int], dict[int, Refused]]:
        """Who contacts in the trash were merged into; and of whom the site does not tell it."""
        found = self._site.ask([Ask("Contact", "getMergedTo", {"contactId": each}) for each in gone])
        told = dict(zip(gone, found, strict=True))
        untold = {each: result for each, result in told.items() if isinstance(result, Refused)}
        rows = {each: _rows(result) for each, result in told.items() if each not in untold}
        return {each: int(result[0]["id"]) for each, result in rows.items() if result}, untold


def _who_are_new(orders: Sequence[Order], lives: dict[str, Live]) -> set[int]:
    """Contacts that may get a participant, as whom the site takes attendees who have none."""
    return {
        contact
        for order in orders
        for key, found in lives[order.order_id].duplicates.items()
        if key not in lives[order.order_id].links
        for contact in found
    }


def identity(attendee: Attendee) -> Row:
    """What a duplicate rule can look at."""
    said = {
        "first_name": attendee.first_name,
        "last_name": attendee.last_name,
        "email_primary.email": attendee.email,
        "phone_primary.phone": attendee.work_phone,
        "address_primary.street_address": attendee.address_1,
        "address_primary.city": attendee.city if attendee.address_1 else None,
        "address_primary.postal_code": attendee.postal_code if attendee.address_1 else None,
    }
    return {"contact_type": "Individual", **{name: value for name, value in said.items() if value}}


def _contribution(order: Order, live: Live, held: Sequence[Row]) -> Row | None:
    """The one that is linked; else the one that carries the order's invoice (C4)."""
    mine = [row for row in held if int(row["id"]) == live.contribution_id]
    mine = mine or [row for row in held if row.get("invoice_id") == order.invoice]
    return {**mine[0], "id": int(mine[0]["id"])} if mine else None


def _contact_asks(contacts: Collection[int]) -> list[Ask]:
    numbers = sorted(contacts) or [0]
    return [
        _ask("Contact", CONTACT, ["id", "IN", numbers], "is_deleted"),
        _ask("Email", EMAIL, ["contact_id", "IN", numbers]),
        _ask("Phone", PHONE, ["contact_id", "IN", numbers]),
        _ask("Address", ADDRESS, ["contact_id", "IN", numbers]),
    ]


def _ask(entity: str, select: Sequence[str], clause: list[Any], *hidden: str) -> Ask:
    """All of an entity that a clause fits; hidden: flags whose rows the site would leave out."""
    where = [clause, *([flag, "IN", EITHER] for flag in hidden)]
    return Ask(entity, "get", {"select": list(select), "where": where})


def _typed(row: Row) -> Row:
    numbers = ("id", "contact_id", "event_id", "status_id", "registered_by_id")
    return {**row, **{name: int(row[name]) if row.get(name) else None for name in numbers}}


def _marked(row: Row) -> str:
    found = MARKER.fullmatch(row.get("source") or "")
    return found[1] if found else ""


def _ids(order: Order) -> list[str]:
    return [each.attendee_id for each in order.attendees]
