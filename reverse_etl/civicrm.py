"""CiviCRM: what is to be written for one order. Pure: from what an order should be and what the site holds to
writes, one function per decision table.

G: what is left alone. O: who of an order stands for it, and who has left it. A: whose contact and participant
an attendee is; with the field map. P: a participant's status. C: the contribution, the ParticipantPayment.
The rules' ids stand in each write, and so in the journal and in the plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from reverse_etl.civicrm_api import site_time
from reverse_etl.civicrm_fields import (
    as_typed,
    changes,
    digits,
    names_of,
    place_of,
    profile_of,
    same,
    whole_name,
)
from reverse_etl.civicrm_state import (
    PAY_LATER,
    REMOVED,
    STOCK_RULE,
    Attendee,
    Decision,
    Keep,
    Live,
    Note,
    Order,
    Policies,
    Row,
    Write,
    amount,
    cents,
    in_order,
)
from reverse_etl.journal import Rejection

OVER = ("cancelled", "canceled", "refunded", "deleted")
NO_SALE = ("started", "abandoned")
OURS = ("Registered", "Attended", "Cancelled", PAY_LATER, REMOVED)
# What holds an order together, which is ours to keep right.
HOLDING = ("contact_id", "registered_by_id")
ADDRESS_PARTS = (
    *("street_address", "supplemental_address_1", "city", "postal_code", "postal_code_suffix"),
    *("state_province_id", "country_id"),
)
# A primary that moves so takes the participants it registered along.
CASCADES = {
    PAY_LATER: ("Registered", "Cancelled"),
    "Pending from incomplete transaction": ("Registered", "Cancelled"),
    "On waitlist": ("Cancelled", "Pending from waitlist"),
    "Pending from waitlist": ("Registered", "Cancelled"),
    "Awaiting approval": ("Cancelled", "Pending from approval"),
    "Pending from approval": ("Registered", "Cancelled"),
}
REMOVED_STATUS = {
    "name": REMOVED,
    "label": "Removed in EventBrite",
    "class": "Negative",
    "is_active": True,
    "is_reserved": True,
    "is_counted": False,
    "visibility_id": 2,
    "weight": 1000,
}


def decide(order: Order, live: Live, policies: Policies) -> Decision:
    """What to do for an order. `live` becomes what the site holds when it is done."""
    work = _Work(order, live, policies)
    if (members := gates(work)) is None:
        return work.decision
    members = order_of(work, members)
    leaving = attendees(work, members)
    primary = live.primary if live.primary in live.links else None
    contribution(work, primary)
    removals(work, leaving)
    return work.decision


class _Work:
    """A decision that is being made."""

    def __init__(self, order: Order, live: Live, policies: Policies) -> None:
        self.order, self.live, self.policies, self.facts = order, live, policies, live.facts
        self.decision = Decision()
        self.event: Row = {}

    def note(self, rule: str, key: str, text: str) -> None:
        self.decision.notes.append(Note(rule, key, text))

    def hold(self, rule: str, key: str, reason: str, remedy: str) -> None:
        self.decision.held.append(Rejection(key, rule, reason, remedy))

    def reject(self, rule: str, reason: str, remedy: str) -> None:
        self.decision.rejection = Rejection(self.order.order_id, rule, reason, remedy)

    def keep(self, rule: str, **what: Any) -> None:
        self.decision.steps.append(Keep(rule, **what))

    def create(self, rule: str, entity: str, key: str, values: Row, **what: Any) -> int:
        """Returns what stands for the id of the record; `made`, where that was given before."""
        made = what.pop("made", None) or self.facts.new_id()
        keep = _made(what.pop("keep", None), made)
        self.say(entity, made, values)
        self.decision.steps.append(Write(rule, entity, "create", key, values, made=made, keep=keep, **what))
        return int(made)

    def say(self, entity: str, number: int | str, values: Row) -> None:
        """Remember what is said of a record."""
        self.decision.said.setdefault((entity, number), {}).update(values)

    def was_said(self, entity: str, number: int | str, name: str, value: Any) -> bool:
        """Whether this is what was said before already, so that anything else there is a person's edit."""
        is_made = isinstance(value, int) and value < 0
        said = self.live.said.get((entity, number), {})
        return not (is_made or self.live.overwrites) and said.get(name) == self.live.digest(value)

    def update(self, rule: str, entity: str, key: str, row: Row, values: Row, **what: Any) -> bool:
        """Write what of `values` the row does not hold yet, but over no person's edit. Returns whether there
        was anything to write."""
        number = row["id"]
        self.say(entity, number, values)
        wanted = changes(row, values)
        edited = [
            name
            for name, value in wanted.items()
            if name not in HOLDING and self.was_said(entity, number, name, value)
        ]
        if edited:
            names = ", ".join(name.split(":")[0] for name in edited)
            text = (
                f"Somebody changed {names} of {entity} {number} in CiviCRM, which stays until there is news."
            )
            self.note(rule, key, text)
        wanted = {name: value for name, value in wanted.items() if name not in edited}
        if not wanted:
            if what.get("keep"):
                self.decision.steps.append(what["keep"])
            return False
        before = {name: row.get(name) for name in wanted}
        self.decision.steps.append(
            Write(rule, entity, "update", key, wanted, before=before, id=number, **what)
        )
        row.update(wanted)
        return True

    @property
    def is_stock_rule(self) -> bool:
        """Whether duplicates are looked for by e-mail alone."""
        wish = self.policies.dedupe_rule
        is_event_s = wish.casefold() == "event"
        return not self.event.get("dedupe_rule_group_id") if is_event_s else wish == STOCK_RULE

    @property
    def removed(self) -> int:
        """The id of the status that takes a participant out; it is made where there is none."""
        if self.facts.removed is None:
            self.facts.removed = self.create(
                "P1", "ParticipantStatusType", self.order.order_id, REMOVED_STATUS
            )
        return self.facts.removed


def _made(keep: Keep | None, made: int) -> Keep | None:
    """0 in what is to be kept stands for the record that the write makes."""
    if keep is None:
        return None
    link = keep.link and (keep.link[0], keep.link[1] or made, keep.link[2] or made)
    return replace(keep, link=link, contribution=made if keep.contribution == 0 else keep.contribution)


# -- G: gates


def gates(work: _Work) -> list[Attendee] | None:
    """G2, G6, G7, C16 and O10: the attendees that can be written; None when nothing of the order can be, or
    is to be. An unmapped event (G1) is in no sync model; G3 and G5 are settled by what lands in bronze; the
    run looks at G4."""
    order, live, facts = work.order, work.live, work.facts
    found = facts.events.get(order.civicrm_event, [])
    mapped = f"The event {order.event_name or order.event_id} is mapped to {order.civicrm_event!r}"
    remedy = "Mend its line in civicrm_events.csv, or the event in CiviCRM; the order is tried in every run."
    if len(found) != 1:
        what = "which CiviCRM does not have" if not found else "and several events in CiviCRM bear that title"
        work.reject("G7", f"{mapped}, {what}.", remedy)
        return None
    work.event = found[0]
    if work.event.get("is_template") or not work.event.get("is_active"):
        what = "a template" if work.event.get("is_template") else "switched off"
        work.reject("G7", f"{mapped}, which is {what} in CiviCRM.", remedy)
        return None
    needed = (
        "Registered",
        "Attended",
        "Cancelled",
        *([PAY_LATER] if work.policies.unpaid == "pending" else []),
    )
    if missing := [name for name in needed if name not in facts.statuses]:
        problem = f"CiviCRM has no participant status {missing[0]}, or it is switched off."
        work.reject("P5", problem, "Bring it back: Administer, CiviEvent, Participant Statuses.")
        return None
    if (order.status in NO_SALE or (order.status == "deleted")) and not _is_linked(live):
        return None
    currency = order.currency or facts.default_currency
    has_money = order.is_known and work.event.get("is_monetary") and order.gross_minor
    if has_money and currency != facts.default_currency and currency not in facts.currencies:
        problem = f"The order is in {currency}, which is not among the site's currencies."
        work.reject("C16", problem, "Enable it: Administer, Localization, Languages, Currency, Locations.")
        return None
    members = []
    for attendee in (each for each in order.attendees if not each.is_gone):
        _settle_link(work, attendee)
        key, role = attendee.attendee_id, attendee.civicrm_role
        if role is None and key in live.links:
            name = attendee.ticket_class_name or attendee.ticket_class_id
            work.note(
                "G2", key, f"Its ticket class {name} has no role any more: the participant keeps its own."
            )
            members.append(attendee)
        elif role is None:
            name = attendee.ticket_class_name or attendee.ticket_class_id
            problem = f"The ticket class {name} of {order.event_name or order.event_id} has no role."
            remedy = "Give it one in civicrm_roles.csv, or the event a fallback_role in civicrm_events.csv."
            work.hold("G2", key, problem, remedy)
        elif role.casefold() not in facts.roles:
            problem = f"The role {role!r} is not among the participant roles of the site."
            work.reject("G2", problem, "Mend it in civicrm_roles.csv or civicrm_events.csv, or add the role.")
            return None
        elif not attendee.has_profile and key not in live.links:
            problem = "The attendee has neither name nor e-mail yet."
            remedy = "Eventbrite collected the buyer's data only; it goes on once they are filled in."
            work.hold("G6", key, problem, remedy)
        else:
            members.append(attendee)
    there = [each for each in order.attendees if not each.is_gone]
    is_unmapped = there and not any(_is_mapped(live, each) for each in there)
    if is_unmapped or (not members and not _is_linked(live)):
        return None  # O10
    return members


def _is_mapped(live: Live, attendee: Attendee) -> bool:
    """Who is linked stays so when the ticket class loses its role."""
    return attendee.civicrm_role is not None or attendee.attendee_id in live.links


def _is_linked(live: Live) -> bool:
    return bool(live.links or live.absent or live.contribution or any(live.marked.values()))


def _claims(live: Live, attendee: Attendee) -> list[int]:
    """Participants that carry the attendee's marker, are not removed and not linked to it; the one to adopt
    first: of a contact that is the attendee's, then the newest."""
    linked = live.links.get(attendee.attendee_id)
    matching = live.duplicates.get(attendee.attendee_id, [])
    found = [
        number
        for number in live.marked.get(attendee.attendee_id, ())
        if number != linked and not live.is_removed(live.participants[number])
    ]
    return sorted(
        found, key=lambda number: (live.participants[number]["contact_id"] not in matching, -number)
    )


# -- O: the order's primary, secondaries, and who has left


def order_of(work: _Work, members: list[Attendee]) -> list[Attendee]:
    """O3, O6, O8: choose who stands for the order; the attendees with that one first, then by id (O1).
    Of whom nothing is told has not left: the data may be late. Its participant stays, and stays primary."""
    live, order = work.live, work.order
    present = {each.attendee_id for each in order.attendees if not each.is_gone}
    candidates = [each.attendee_id for each in members]
    chosen = live.primary
    if live.absent:
        many = len(live.absent)
        whose = "An attendee of it is" if many == 1 else f"{many} attendees of it are"
        text = f"{whose} in no order that has landed, and not told to be gone: what they are stays."
        work.note("O7", order.order_id, text)
    number = live.absent.get(chosen or "")
    if chosen and number in live.participants and not live.is_removed(live.participants[number]):
        live.links[chosen] = number
        present.add(chosen)
    if chosen not in present or (chosen not in candidates and chosen not in live.links):
        rule = "O3" if chosen is None else "O8"
        chosen = _seen_primary(live, candidates) if chosen is None else None
        chosen = chosen or min(candidates, key=in_order, default=None)
        live.primary = chosen
        if chosen is not None:
            work.keep(rule, primary=chosen)
    return sorted(members, key=lambda each: (each.attendee_id != chosen, in_order(each.attendee_id)))


def _settle_link(work: _Work, attendee: Attendee) -> None:
    """A6: a link whose participant is no more, or was taken out, is none. A participant that carries the
    marker is adopted: its answer, or our memory, was lost. O6: one that comes from another order stays."""
    live, key = work.live, attendee.attendee_id
    linked = live.links.get(key)
    if linked is not None:
        participant = live.participants.get(linked)
        if participant is None or live.is_removed(participant):
            del live.links[key]
            live.linked_elsewhere.discard(key)
            why = "A6: deleted in CiviCRM" if participant is None else "A6: removed"
            work.keep("A6", unlink=(key, linked, why))
    former = live.former.setdefault(key, set())
    if key in live.links and key in live.doubted:
        for claim in sorted(each for each in _claims(live, attendee) if _is_lost(live, key, each)):
            former.add(live.links[key])
            live.links[key] = claim
            work.keep("A6", link=(key, live.participants[claim]["contact_id"], claim))
    if key not in live.links and (claims := _claims(live, attendee)):
        live.links[key] = claims[0]
        if linked is None and not former:
            # All memory of it is lost, and the run before ended between two participants.
            former.update(claims[1:])
        for claim in reversed(claims):
            if claim == claims[0] or claim in former:
                work.keep("A6", link=(key, live.participants[claim]["contact_id"], claim))
    elif key in live.linked_elsewhere:
        contact = live.participants[live.links[key]]["contact_id"]
        work.keep("O6", link=(key, contact, live.links[key]))


def _is_lost(live: Live, key: str, claim: int) -> bool:
    """Whether a participant is the one of which no answer came: of the contact that was named, and made after
    those known. Staff can have copied an older one."""
    known = {live.links.get(key, 0), *live.former.get(key, ())}
    contact = live.doubted.get(key)
    is_its = contact is None or live.participants[claim]["contact_id"] == contact
    return key in live.doubted and is_its and claim > max(known)


def _seen_primary(live: Live, candidates: Sequence[str]) -> str | None:
    """Who stands for the order at the site, when nobody remembers: who pays, or registered the others."""
    paying = {int(row["participant_id"]) for row in live.payments}
    registering = {row.get("registered_by_id") for row in live.participants.values()}
    for participants in (paying, registering):
        found = [each for each in candidates if each in live.links and live.links[each] in participants]
        if found:
            return min(found, key=in_order)
    return None


def removals(work: _Work, leaving: Sequence[tuple[str, str, int]]) -> None:
    """O7 and the last step of A4 and A5: participants that are nobody's any more become REMOVED, once all
    that pointed to them points elsewhere. leaving: rule, attendee and participant."""
    live = work.live
    gone = {
        each.attendee_id: live.links[each.attendee_id]
        for each in work.order.attendees
        if each.is_gone and each.attendee_id in live.links
    }
    for each in work.order.attendees:
        key = each.attendee_id
        claims = _claims(live, each) if each.is_gone else []
        if key in gone or live.former.get(key):
            former = live.former.get(key, set())
            claims = [number for number in claims if number in former or _is_lost(live, key, number)]
        leaving = [*leaving, *(("O7", key, number) for number in claims)]
    leaving = [*leaving, *(("O7", key, number) for key, number in gone.items())]
    own = set(live.participants)
    for rule, key, number in sorted(leaving, key=lambda each: (in_order(each[1]), each[2])):
        is_linked = gone.get(key) == number
        keep = Keep(rule, unlink=(key, number, f"{rule}: removed")) if is_linked else None
        participant = live.participants.get(number)
        if participant is None:
            if keep:
                work.decision.steps.append(keep)
            continue
        values: Row = {"status_id": work.removed}
        registered_by = participant.get("registered_by_id")
        if registered_by is not None and (rule == "O7" or registered_by in own):
            values["registered_by_id"] = None
        keep = keep or Keep(rule, removed=(key, number))
        work.update(rule, "Participant", key, participant, values, keep=keep)
        if live.links.get(key) == number:
            del live.links[key]


# -- A: contact and participant


@dataclass(frozen=True)
class Choice:
    """What A found for an attendee. participant: None when one is to be made. leaves: the one it leaves."""

    attendee: Attendee
    rule: str
    contact: int
    participant: int | None
    leaves: int | None = None
    is_new: bool = False


def attendees(work: _Work, members: Sequence[Attendee]) -> list[tuple[str, str, int]]:
    """A1 to A9 for every attendee, its fields and status. Returns rule, attendee and participant of those
    that are to be taken out at last."""
    live = work.live
    leaving: list[tuple[str, str, int]] = []
    choices = [choose(work, attendee, members) for attendee in members]
    told: dict[int, list[Attendee]] = {}
    for choice in choices:
        told.setdefault(choice.contact, []).append(choice.attendee)
    # Who is held can stand for the order all the same.
    is_among = any(each.attendee_id == live.primary for each in members)
    registrar = None if is_among or live.primary is None else live.links.get(live.primary)
    for choice in choices:
        key = choice.attendee.attendee_id
        if choice.contact in told:
            fields(work, choice, told.pop(choice.contact), members)
        emails(work, choice)
        number = participant(work, choice, None if key == live.primary else registrar)
        if key == live.primary:
            registrar = number
        left = [] if choice.leaves is None else [choice.leaves]
        # Others that carry the marker are not ours to judge: staff can have copied one.
        former = live.former.get(key, set())
        left += [each for each in _claims(live, choice.attendee) if each in former and each not in left]
        leaving += [(choice.rule, key, each) for each in left]
    return leaving


def choose(work: _Work, attendee: Attendee, members: Sequence[Attendee]) -> Choice:
    """The table of A: which contact is the attendee's, and whether its participant stays."""
    live, key = work.live, attendee.attendee_id
    matching = [each for each in live.duplicates.get(key, ()) if _is_alive(live, each)]
    number = live.links.get(key)
    if number is None and (choice := _come_back(work, attendee, matching)):
        return choice
    if number is None:
        contact, rule, is_new = _contact(work, attendee, members, matching, "A1", "A2")
        return Choice(attendee, rule, contact, None, is_new=is_new)
    contact = live.participants[number]["contact_id"]
    rule = "A3"
    if not _is_alive(live, contact):
        rule = "A7"
        merged = live.merged.get(contact)
        if merged is not None and _is_alive(live, merged):
            contact = merged
    is_alive = _is_alive(live, contact)
    if contact in matching:
        return Choice(attendee, "A8" if rule == "A3" and len(matching) > 1 else rule, contact, number)
    if not attendee.has_profile:
        return Choice(attendee, rule, contact, number)  # G6: what there is stays
    has_no_email = is_alive and not attendee.email and not matching
    if has_no_email and whole_name(attendee) == whole_name(live.contacts[contact]):
        return Choice(attendee, "A9", contact, number)
    if is_alive and _is_unchanged(work, attendee):
        return Choice(attendee, rule, contact, number)  # staff changed the contact, Eventbrite nothing
    # The crash came after a participant of the new contact was made: it carries the marker.
    mine = {*matching, *live.marked_contacts.get(key, ())} - {contact}
    former = live.former.get(key, set())
    for claim in (each for each in _claims(live, attendee) if each not in former):
        found = live.participants[claim]["contact_id"]
        if found in mine and _is_alive(live, found):
            rule = "A5" if matching else "A4"
            live.links[key] = claim
            work.keep(rule, link=(key, found, claim))
            return Choice(attendee, rule, found, claim, leaves=number)
    is_wanted_new = work.policies.new_email == "new"
    found, rule, is_new = _contact(work, attendee, members, matching, "A4", "A5", is_new=is_wanted_new)
    return Choice(attendee, rule, found, None, leaves=number, is_new=is_new)


def _come_back(work: _Work, attendee: Attendee, matching: Sequence[int]) -> Choice | None:
    """O7 undone: who was gone and is listed again is the participant of before, if that is of its contact."""
    live, key = work.live, attendee.attendee_id
    row = live.participants.get(live.returned.get(key, 0))
    if row is None or row["contact_id"] not in matching:
        return None
    contact, number = row["contact_id"], int(row["id"])
    _, wanted = status(work, attendee, None)
    values = {"status_id": work.facts.statuses[wanted or "Registered"]}
    work.update("O7", "Participant", key, row, values, keep=Keep("O7", link=(key, contact, number)))
    live.links[key] = number
    return Choice(attendee, "A3", contact, number)


def _contact(
    work: _Work,
    attendee: Attendee,
    members: Sequence[Attendee],
    matching: Sequence[int],
    none: str,
    some: str,
    *,
    is_new: bool = False,
) -> tuple[int, str, bool]:
    """The lowest of the matching contacts, else one that carries the marker and has no participant (its
    answer was lost), else a new one. Returns it, the rule, and whether it is yet to be made."""
    live, key = work.live, attendee.attendee_id
    rule = some if matching else none
    if matching and not (is_new and some == "A5"):
        return min(matching, key=lambda each: (each < 0, abs(each))), rule, False
    used = {live.participants[each]["contact_id"] for each in live.marked.get(key, ())}
    used |= {live.participants[live.links[key]]["contact_id"]} if key in live.links else set()
    waiting = [
        each
        for each in live.marked_contacts.get(key, ())
        if each not in used
        and _is_alive(live, each)
        and whole_name(live.contacts[each]) == whole_name(attendee)
    ]
    if waiting:
        return min(waiting), rule, False
    made = work.facts.new_id()
    for other in members:
        is_same = work.is_stock_rule or names_of(other) == names_of(attendee)
        if other is not attendee and is_same and _shares_email(other, attendee):
            live.duplicates.setdefault(other.attendee_id, []).append(made)
    live.duplicates.setdefault(key, []).append(made)
    live.contacts[made] = {"id": made, "is_deleted": False, "first_name": None, "last_name": None}
    return made, rule, True


def _shares_email(one: Attendee, other: Attendee) -> bool:
    return bool(one.email and other.email and one.email.casefold() == other.email.casefold())


def _is_alive(live: Live, contact: int) -> bool:
    found = live.contacts.get(contact)
    return found is not None and not found["is_deleted"]


def fields(work: _Work, choice: Choice, told: Sequence[Attendee], members: Sequence[Attendee]) -> None:
    """The field map, for a contact: names, work phone, billing address. Of several attendees that are one
    contact, in whatever order, the latest changed tells; nothing is erased by what they leave blank."""
    live, attendee, rule, contact = work.live, choice.attendee, choice.rule, choice.contact
    key, email = attendee.attendee_id, attendee.email
    # Of another order may be one who is somebody else by now.
    held = [row["email"] for row in live.emails.get(contact, ())]
    others = [each for each in live.others.get(contact, ()) if any(same(each.email, one) for one in held)]
    profile = profile_of([*told, *others])
    names = {name: value for name, value in profile.names.items() if value}
    if names and not choice.is_new and whole_name(names) == whole_name(live.contacts[contact]):
        names = names if "last_name" in names else {}  # one name, of which staff made two
    if choice.is_new:
        values: Row = {"contact_type": "Individual", **names, "source": attendee.marker}
        values |= {"email_primary.email": email} if email else {}
        twins = [each for each in members if each is not attendee and _shares_email(each, attendee)]
        shared = tuple(each.attendee_id for each in twins)
        work.create(rule, "Contact", key, values, made=contact, shared=shared)
        live.contacts[contact] |= names
        live.emails[contact] = [{"id": 0, "email": email, "is_primary": True}] if email else []
    else:
        work.update(rule, "Contact", key, live.contacts[contact], names)
    if profile.phone:
        _phone(work, rule, key, contact, profile.phone)
    if profile.address:
        _address(work, rule, key, contact, profile.address)


def _identity(work: _Work, attendee: Attendee) -> list[str | None]:
    """What makes an attendee somebody else when Eventbrite changes it, by the rule for duplicates."""
    email = attendee.email and attendee.email.casefold()
    return [email] if work.is_stock_rule and email else [email, attendee.first_name, attendee.last_name]


def _is_unchanged(work: _Work, attendee: Attendee) -> bool:
    """Whether Eventbrite tells of the same person as before, whatever overwrites what."""
    said = work.live.said.get(("attendee", attendee.attendee_id), {})
    return said.get("identity") == work.live.digest(_identity(work, attendee))


def emails(work: _Work, choice: Choice) -> None:
    """The field map, for an e-mail: one row of the contact holds it; which one, the policy says. One that
    staff took away stays away."""
    email, rule, key = choice.attendee.email, choice.rule, choice.attendee.attendee_id
    contact = choice.contact
    work.say("attendee", key, {"identity": _identity(work, choice.attendee), "contact_id": contact})
    if not email:
        return
    if _is_unchanged(work, choice.attendee) and work.was_said("attendee", key, "contact_id", contact):
        return
    rows = work.live.emails.setdefault(contact, [])
    own = next((row for row in rows if same(row["email"], email)), None)
    primary = next((row for row in rows if row.get("is_primary")), None)
    replaces = work.policies.other_primary_email == "replace" and primary is not None
    if own is None and replaces:
        work.update(rule, "Email", key, primary or {}, {"email": email.lower()})
    elif own is None:
        values = {"contact_id": contact, "email": email.lower()}
        made = work.create(rule, "Email", key, values)
        rows.append({"id": made, **values, "is_primary": primary is None})
    elif replaces and own is not primary:
        work.update(rule, "Email", key, own, {"is_primary": True})
        (primary or {})["is_primary"] = False


def _phone(work: _Work, rule: str, key: str, contact: int, phone: str) -> None:
    """The work phone, in place. One that differs by blanks and signs only is the same."""
    location, rows = work.facts.location("Work"), work.live.phones.setdefault(contact, [])
    kind = work.facts.phone_types.get("Phone")
    there = [row for row in rows if row.get("location_type_id") == location]
    if equal := next((row for row in there if digits(row["phone"]) == digits(phone)), None):
        if _is_ours(work, "Work", "Phone", equal):
            work.say("Phone", equal["id"], {"phone": phone})
        return
    there = [row for row in there if kind is None or str(row.get("phone_type_id") or kind) == kind]
    there = [row for row in there if _is_ours(work, "Work", "Phone", row)]
    if there:
        work.update(rule, "Phone", key, min(there, key=lambda row: row["id"]), {"phone": phone})
        return
    values: Row = {"contact_id": contact, "phone": phone, "location_type_id": location}
    values |= {"phone_type_id": int(kind)} if kind else {}
    rows.append({"id": work.create(rule, "Phone", key, values), **values})


def _address(work: _Work, rule: str, key: str, contact: int, address: Row) -> None:
    """The billing address, in place: a new row would take the contribution's along. Another street is another
    address: nothing of the old one stays."""
    location, rows = work.facts.location("Billing"), work.live.addresses.setdefault(contact, [])
    there = [row for row in rows if row.get("location_type_id") == location]
    values, unknown = place_of(address, work.facts)
    if unknown:
        work.note(
            "A3", key, f"The site knows no {' and no '.join(unknown)} as the attendee's address has it."
        )
    ours = [row for row in there if _is_ours(work, "Billing", "Address", row)]
    if not ours and any(not changes(row, values) for row in there):
        return
    if ours:
        row = min(ours, key=lambda row: row["id"])
        street = values["street_address"]
        is_edited = work.was_said("Address", row["id"], "street_address", street)
        if not same(row.get("street_address"), street) and not is_edited:
            values = dict.fromkeys(ADDRESS_PARTS) | values
        elif "postal_code" in values and row.get("postal_code") != values["postal_code"]:
            values = {"postal_code_suffix": None} | values
        work.update(rule, "Address", key, row, values)
        return
    values = {"contact_id": contact, "location_type_id": location, **values}
    rows.append({"id": work.create(rule, "Address", key, values), **values})


def _is_ours(work: _Work, location: str, entity: str, row: Row) -> bool:
    """Whether a row may be changed: in the place of a location type that is switched off, only what we made
    or wrote."""
    return location in work.facts.locations or (entity, row["id"]) in work.live.said


def participant(work: _Work, choice: Choice, registrar: int | None) -> int:
    """Make the attendee's participant or bring it up to date: contact, event, role; status by P; who
    registered it by O4 and O5. Returns it."""
    live, attendee, facts = work.live, choice.attendee, work.facts
    key, rule, contact = attendee.attendee_id, choice.rule, choice.contact
    role = facts.roles.get((attendee.civicrm_role or "").casefold())
    if choice.participant is None:
        roles = [role] if role is not None else live.participants[choice.leaves or 0].get("role_id")
        _, wanted = status(work, attendee, None)
        values: Row = {
            "contact_id": contact,
            "event_id": work.event["id"],
            "status_id": facts.statuses[wanted or "Registered"],
            "role_id": roles,
            "source": attendee.marker,
        }
        if attendee.created_at is not None:
            values["register_date"] = site_time(attendee.created_at, facts.zone)
        if registrar is not None:
            values["registered_by_id"] = registrar
        unlink = (key, choice.leaves, rule) if choice.leaves is not None else None
        if (contact, work.event["id"]) in live.entered:
            work.decision.twice.append((str(work.event.get("title")), contact))
        number = work.create(
            rule, "Participant", key, values, keep=Keep(rule, link=(key, contact, 0), unlink=unlink)
        )
        live.participants[number] = {"id": number, "registered_by_id": None, **values}
        live.links[key] = number
        return number
    row = live.participants[choice.participant]
    held = [str(each) for each in as_typed(row.get("role_id"))]
    values = {"contact_id": contact, "event_id": work.event["id"]}
    if role is not None:
        work.say("Participant", row["id"], {"role_id": [role]})
    if role not in (None, *held) and not work.was_said("Participant", row["id"], "role_id", [role]):
        # What staff added beside the role of before stays.
        said = live.said.get(("Participant", row["id"]), {}).get("role_id")
        others = [each for each in held if said and live.digest([each]) != said]
        values["role_id"] = [*others, role]
    is_moved = row["contact_id"] != live.linked_contacts.get(key, contact) or row["contact_id"] != contact
    keep = Keep(rule, link=(key, contact, row["id"])) if is_moved else None
    work.update(rule, "Participant", key, row, values, keep=keep)
    registered_by = row.get("registered_by_id")
    if registrar is None and registered_by is not None:
        work.update("O4", "Participant", key, row, {"registered_by_id": None})
    _status(work, attendee, row)
    if registrar is not None and registered_by != registrar:
        work.update("O5", "Participant", key, row, {"registered_by_id": registrar})
    return int(row["id"])


# -- P: status


def status(work: _Work, attendee: Attendee, current: str | None) -> tuple[str, str | None]:
    """The rule that fits first, and the status by it; None where the current one stays. P1 is `removals`; a
    refund that leaves the ticket valid changes nothing (P6)."""
    policies, order = work.policies, work.order
    if order.is_over or attendee.status in OVER:
        is_there = attendee.is_checked_in and policies.checked_in_but_cancelled == "attended"
        found = ("P2", "Attended" if is_there else "Cancelled")
    elif attendee.is_checked_in:
        found = ("P3", "Attended")
    elif attendee.status == "unpaid" or not order.is_paid:
        found = ("P4", PAY_LATER if policies.unpaid == "pending" else "Registered")
    else:
        found = ("P8" if current == "Cancelled" else "P5", "Registered")
    if current is not None and current not in OURS:
        return "P7", None
    return found


def _status(work: _Work, attendee: Attendee, row: Row) -> None:
    facts, key = work.facts, attendee.attendee_id
    current = facts.status_name(row["status_id"])
    rule, wanted = status(work, attendee, current or "")
    if wanted is None:
        text = (
            f"The participant is {current or 'of a status that is no more'}, as staff set it, and stays so."
        )
        _, meant = status(work, attendee, None)
        if meant != "Registered":
            text += f" Eventbrite says {meant}."
        work.note(rule, key, text)
        return
    before, after = row["status_id"], facts.statuses[wanted]
    if before == after:
        work.say("Participant", row["id"], {"status_id": after})
        return
    others = []
    if wanted in CASCADES.get(current or "", ()):
        others = [
            each
            for each in work.live.participants.values()
            if each.get("registered_by_id") == row["id"] and each["status_id"] == before
        ]
    if work.update(rule, "Participant", key, row, {"status_id": after}, rereads=bool(others)):
        for each in others:  # O11: the site does that by itself
            each["status_id"] = after
            work.live.said.get(("Participant", each["id"]), {}).pop("status_id", None)


# -- C: contribution and ParticipantPayment


def contribution(work: _Work, primary: str | None) -> None:
    """C1 to C17: one contribution an order, of its primary's contact, joined to its primary's participant."""
    order, live = work.order, work.live
    if not order.is_known or not work.event.get("is_monetary"):
        return  # O2: it waits for its order; C1
    if (found := amounts(work)) is None:
        return
    total, fee = found
    held = live.contribution
    if held is None and live.contribution_id is not None:
        is_left = work.policies.deleted_contribution == "leave" or live.times_made > 1
        if is_left:
            text = "Its contribution was deleted in CiviCRM, and is not made again."
            work.note("C13", order.order_id, text)
            return
    payer = live.participants[live.links[primary]] if primary is not None else None
    if held is None:
        is_unpaid_for_good = order.is_over and not order.is_paid
        if total <= 0 or payer is None or is_unpaid_for_good:
            return  # C2, O10
        held = _new_contribution(work, payer, total, fee)
    else:
        if live.contribution_id != held["id"]:
            work.keep("C4", contribution=held["id"])
        (_by_amount if work.policies.refunds == "amount" else _by_ledger)(work, held, total, fee)
    if payer is not None:
        _join(work, held, payer)


def amounts(work: _Work) -> tuple[int, int] | None:
    """C7, C15: total and fees of the order as they are now, in hundredths; of one with unmapped ticket
    classes, by the policy, those of the mapped attendees; None while not all of these are told of."""
    order = work.order
    total, fee = order.cents(order.gross_minor), order.cents(order.fees_minor)
    there = [each for each in order.attendees if not each.is_gone]
    mapped = [each for each in there if _is_mapped(work.live, each)]
    if len(mapped) == len(there) or work.policies.amount == "order":
        return total, fee
    if work.live.absent:
        return None
    part = order.cents(sum(each.gross_minor or 0 for each in mapped))
    if part != total:
        text = f"The contribution is {amount(part)} of {amount(total)}: what its mapped ticket classes cost."
        work.note("C7", order.order_id, text)
    return part, order.cents(sum(each.fees_minor or 0 for each in mapped))


def _new_contribution(work: _Work, payer: Row, total: int, fee: int) -> Row:
    """C3; C13 where one was deleted."""
    order, live, facts = work.order, work.live, work.facts
    is_pending = not order.is_paid
    name = "Check" if order.is_offline else "Credit Card"
    values: Row = {
        "contact_id": payer["contact_id"],
        "total_amount": amount(total),
        "fee_amount": amount(fee),
        "currency": order.currency or facts.default_currency,
        "invoice_id": order.invoice,
        "source": f"Eventbrite order {order.order_id}",
        "contribution_status_id": facts.contribution_statuses["Pending" if is_pending else "Completed"],
    }
    if work.event.get("financial_type_id"):
        values["financial_type_id"] = work.event["financial_type_id"]
    else:
        values["financial_type_id:name"] = "Event Fee"
    if order.ordered_at is not None:
        values["receive_date"] = site_time(order.ordered_at, facts.zone)
    if name in facts.instruments:
        values["payment_instrument_id"] = int(facts.instruments[name])
    rule = "C3" if live.contribution_id is None else "C13"
    made = work.create(rule, "Contribution", order.order_id, values, keep=Keep(rule, contribution=0))
    live.contribution_id = made
    live.contribution = {"id": made, "paid_amount": 0 if is_pending else amount(total), **values}
    live.payments = []
    return live.contribution


def _by_amount(work: _Work, held: Row, total: int, fee: int) -> None:
    """C5, C8 to C12 where refunds lower the contribution. Never total and status in one call: the site would
    book the change twice. Never a total of 0: its line item would keep the old one."""
    order = work.order
    current = work.facts.contribution_status_name(held["contribution_status_id"])
    if total <= 0 or (order.is_over and not order.is_paid and current == "Pending"):
        _move(work, held, "C8", "Cancelled" if current == "Pending" else "Refunded")
        return
    if current in ("Refunded", "Cancelled") and order.is_paid:
        _move(work, held, "C10", "Completed")
    if current in ("Refunded", "Cancelled") and not order.is_paid:
        return  # never paid, and over
    _amounts(work, held, total, fee)
    if current == "Pending" and order.is_paid:
        _move(work, held, "C11", "Completed")
    elif current in ("Failed", "Chargeback", "Pending refund", "Partially paid"):
        text = f"Its contribution is {current}, as staff set it, and stays so."
        work.note("C12", order.order_id, text)


def _by_ledger(work: _Work, held: Row, total: int, fee: int) -> None:
    """C8 to C11 where refunds are payments: the total stays what was sold."""
    order, facts = work.order, work.facts
    current = facts.contribution_status_name(held["contribution_status_id"])
    if order.is_over and not order.is_paid:
        if current == "Pending":
            _move(work, held, "C8", "Cancelled")
        return
    if not order.is_paid:
        _amounts(work, held, total, fee)
        return
    sold = cents(held["total_amount"])
    if total > sold and current == "Partially paid":
        # What was refunded before stays refunded: so much more was sold.
        _amounts(work, held, sold + total - cents(held.get("paid_amount")), fee, rereads=True)
    elif total > sold:
        _amounts(work, held, total, fee, rereads=True)
        held["paid_amount"] = held["total_amount"] if current == "Completed" else held.get("paid_amount")
    elif fee != cents(held.get("fee_amount")):
        work.update("C5", "Contribution", order.order_id, held, {"fee_amount": amount(fee)})
    paid = cents(held.get("paid_amount"))
    if total == paid:
        return
    rule = "C11" if current == "Pending" else "C10" if total > paid else "C8" if total == 0 else "C9"
    values: Row = {"contribution_id": held["id"], "total_amount": amount(total - paid)}
    if order.changed_at is not None:
        values["trxn_date"] = site_time(order.changed_at, facts.zone)
    work.create(rule, "Payment", order.order_id, values, rereads=True)
    held["paid_amount"] = amount(total)
    after = (
        "Refunded"
        if total == 0
        else "Completed"
        if total >= cents(held["total_amount"])
        else "Partially paid"
    )
    held["contribution_status_id"] = facts.contribution_statuses[after]


def _amounts(work: _Work, held: Row, total: int, fee: int, *, rereads: bool = False) -> None:
    values: Row = {}
    work.say("Contribution", held["id"], {"total_amount": amount(total), "fee_amount": amount(fee)})
    if cents(held["total_amount"]) != total:
        values["total_amount"] = amount(total)
    if cents(held.get("fee_amount")) != fee:
        values["fee_amount"] = amount(fee)
    work.update("C5", "Contribution", work.order.order_id, held, values, rereads=rereads)


# What the site lets a contribution become, of what is wanted here.
MOVES = {
    "Completed": ("Cancelled", "Refunded"),
    "Pending": ("Cancelled", "Completed"),
    "Cancelled": ("Completed", "Refunded"),
    "Refunded": ("Cancelled", "Completed"),
    "Partially paid": ("Completed", "Refunded"),
    "Pending refund": ("Completed", "Refunded"),
}


def _move(work: _Work, held: Row, rule: str, wanted: str) -> None:
    """Set a contribution's status, where the site lets it be set (C12)."""
    facts, key = work.facts, work.order.order_id
    current = facts.contribution_status_name(held["contribution_status_id"])
    if current == wanted or (current in ("Cancelled", "Refunded") and wanted != "Completed"):
        return
    allowed = MOVES.get(current or "", ())
    if wanted == "Cancelled" and wanted not in allowed:
        wanted = "Refunded"
    if wanted not in allowed:
        problem = f"Its contribution is {current} in CiviCRM, and cannot become {wanted} from there."
        remedy = "Set it in CiviCRM as it should be, or to a status that can; it is looked at in every run."
        work.decision.parked = Rejection(key, "C12", problem, remedy)
        return
    values = {"contribution_status_id": facts.contribution_statuses[wanted]}
    work.update(rule, "Contribution", key, held, values, rereads=wanted == "Cancelled")


def _join(work: _Work, held: Row, payer: Row) -> None:
    """C6: the ParticipantPayment and the contact are the primary's. A row is never deleted: that takes the
    contribution along."""
    live, key = work.live, work.order.order_id
    rows = sorted(live.payments, key=lambda row: int(row["id"]))
    values = {"participant_id": payer["id"], "contribution_id": held["id"]}
    if not any(int(row["participant_id"]) == payer["id"] for row in rows):
        if rows:
            row = rows[0]
            before = {"participant_id": int(row["participant_id"])}
            write = Write(
                "C6",
                "ParticipantPayment",
                "update",
                key,
                {"participant_id": payer["id"]},
                before,
                int(row["id"]),
            )
            work.decision.steps.append(write)
            row["participant_id"] = payer["id"]
        else:
            made = work.create("C3", "ParticipantPayment", key, values)
            live.payments.append({"id": made, **values})
    elif len(rows) > 1:
        work.note("C6", key, "Its contribution has more than one ParticipantPayment; all are kept.")
    work.update("C6", "Contribution", key, held, {"contact_id": payer["contact_id"]})
