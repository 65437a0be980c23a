"""CiviCRM: from sync models to a site, one order at a time. No call for an order whose document is as it was.

The way of a run: `documents` finds the orders that changed, `live` reads what the site holds of a few of them
at once, `civicrm` decides, and what it decided is done here, one write a call: journaled before, its ids kept
after. `links` remembers.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from boxoffice.build import SyncModel
from boxoffice.errors import BoxofficeError
from reverse_etl import civicrm_documents
from reverse_etl.civicrm import decide
from reverse_etl.civicrm_api import Denied, Duplicate, Refused, Site, Unreachable
from reverse_etl.civicrm_documents import Documents, Told
from reverse_etl.civicrm_live import Reader, check_sight, facts_of, look_at_statuses
from reverse_etl.civicrm_state import (
    REMOVED,
    Decision,
    Facts,
    Keep,
    Live,
    Note,
    Order,
    Policies,
    Row,
    Said,
    Write,
)
from reverse_etl.journal import Rejection
from reverse_etl.links import Link, Links, OrderLink
from reverse_etl.show import MOST_CHANGES

# Attendees whose orders are read together: their duplicates are asked for in one call, which takes 50 asks.
TOGETHER = 40
MANY_GONE = 10  # attendees; of so few any share may be taken out in one run
SAMPLE = 50  # participants of which some have to be seen before anything is written
LOOKS = 20  # at one order, and two for each attendee, after answers that were lost and writes that move more
IDS = ("contact_id", "participant_id", "contribution_id", "registered_by_id", "status_id")
Progress = Callable[[str, int, int | None], None]


@dataclass
class Outcome:
    """What a run would do or did. writes: order, rule, entity and action of each, in
    order; shown: the first of them whole, as there can be very many. orders: how many there are;
    changed: those that were looked at; written: those that were written to. named: the cells of
    civicrm_events.csv that name an event; None where nothing tells. words: field to what its values mean.
    twice: event to the contacts that get a second participant there."""

    orders: int = 0
    changed: int = 0
    written: int = 0
    writes: list[dict[str, str]] = field(default_factory=list)
    shown: list[tuple[str, Write]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    held: list[Rejection] = field(default_factory=list)
    twice: dict[str, set[int]] = field(default_factory=dict)
    named: set[str] | None = None
    words: dict[str, dict[Any, str]] = field(default_factory=dict)
    seconds_a_call: float = 0.0
    rejections: list[Rejection] = field(default_factory=list)
    problems: list[BoxofficeError] = field(default_factory=list)

    @property
    def rules(self) -> Counter[tuple[str, str, str]]:
        """How many writes by rule, entity and action."""
        return Counter((each["rule"], each["entity"], each["action"]) for each in self.writes)

    def add(self, order_id: str, write: Write) -> None:
        self.writes.append(
            {"order_id": order_id, "rule": write.rule, "entity": write.entity, "action": write.action}
        )
        if len(self.shown) < MOST_CHANGES:
            self.shown.append((order_id, write))


class _NoStatus(BoxofficeError):
    """The site lacks the status REMOVED, and does not let it be made."""

    def __init__(self) -> None:
        super().__init__(
            f"CiviCRM has no participant status {REMOVED}, and the API user may not make it.",
            "Make it: Administer, CiviEvent, Participant Statuses, with that name, the label Removed in"
            " EventBrite, class Negative, not counted; or let the API user administer CiviCRM once.",
        )


class _Vanished(Exception):
    """What was to be changed is there no more: somebody was faster."""


class Sync:
    """One run against one site."""

    def __init__(
        self,
        site: Site,
        links: Links,
        warehouse: Path,
        models: Sequence[SyncModel],
        *,
        zone: ZoneInfo,
        policies: Policies,
        progress: Progress = lambda what, done, total: None,
    ) -> None:
        self._site, self._links, self._zone = site, links, zone
        self._warehouse, self._models, self._policies = warehouse, models, policies
        self._progress = progress
        self._made: dict[int, int] = {}
        self._known: dict[str, OrderLink] = {}
        self._rejected: dict[str, str] = {}
        self._in_doubt: dict[str, list[int]] = {}
        self._new_contacts: dict[str, int] = {}
        self._spared: set[str] = set()
        self._foreseen: dict[int, tuple[Any, ...]] = {}
        self._facts: Facts
        self._reader: Reader
        self.outcome = Outcome()

    def run(
        self, *, writes: bool = True, reconciles: bool = False, again: Collection[str] | None = None
    ) -> None:
        """Find out what is to be done, and do it if it `writes`. `outcome` tells what was done, even when it
        raises.

        Args:
            reconciles: look at every order, changed or not. again: ids of the orders to try although they
                were refused before; all when None.

        Raises:
            Denied, Unreachable: the site does not let itself be read or written; what was written stays.
        """
        with civicrm_documents.opened(self._warehouse, self._models, self._policies) as documents:
            told = documents.all()
            self.outcome.orders, self.outcome.named = len(told), documents.named()
            is_new = self._links.is_empty()
            if is_new and writes:
                self._links.rebuild()
            for intent in self._links.unanswered():
                self._in_doubt.setdefault(intent.order_id, []).append(intent.call_id)
            self._known = self._links.orders()
            self._rejected = self._links.rejected()
            if writes:
                self._forget_rejected(documents)
            changed = [each for each in told if is_new or reconciles or self._is_due(each, again)]
            self.outcome.changed = len(changed)
            if changed:
                self._spare(documents)
                check_sight(self._site, [] if reconciles else self._links.some(SAMPLE))
                self._do(documents, changed, writes, reconciles)

    def _is_due(self, told: Told, again: Collection[str] | None) -> bool:
        if told.order_id in self._in_doubt:
            return True
        rule = self._rejected.get(told.order_id)
        if rule is not None and again is not None and told.order_id not in again:
            return False
        held = self._known.get(told.order_id)
        return rule == "G4" or held is None or held.fingerprint != told.fingerprint

    def _spare(self, documents: Documents) -> None:
        """O7 takes nobody out where very many are gone at once: a listing may have failed."""
        if len(gone := documents.gone()) <= MANY_GONE:
            return
        linked = self._links.linked()
        gone &= linked
        if len(gone) <= max(MANY_GONE, self._policies.max_removed_share * len(linked)):
            return
        self._spared = gone
        share = ceil(100 * len(gone) / len(linked)) / 100
        self.outcome.problems.append(
            BoxofficeError(
                f"{len(gone):,} of {len(linked):,} participants in CiviCRM are of attendees that Eventbrite"
                " lists no more: none of them is removed (rule O7).",
                f"If that is right, set max_removed_share of civicrm in settings.csv to {share} for"
                " one run. If not, run `make run` again, once Eventbrite lists them.",
            )
        )

    def _with_spared(self, order: Order) -> Order:
        """As if nothing were told of attendees that are spared; never as it should be, so looked at again."""
        told = tuple(each for each in order.attendees if each.attendee_id not in self._spared)
        return order if len(told) == len(order.attendees) else replace(order, attendees=told, fingerprint="")

    def _do(self, documents: Documents, changed: Sequence[Told], writes: bool, reconciles: bool) -> None:
        self._progress("reading the site", 0, None)
        words = {each.civicrm_event for each in changed}
        began, calls = time.monotonic(), self._site.calls
        self._facts = facts_of(self._site, self._zone, words)
        self.outcome.seconds_a_call = (time.monotonic() - began) / (self._site.calls - calls)
        self._reader = Reader(
            self._site, self._links, self._facts, self._policies, documents, overwrites=reconciles
        )
        for name, ids in (
            ("status_id", self._facts.statuses),
            ("contribution_status_id", self._facts.contribution_statuses),
        ):
            self.outcome.words[name] = {number: word for word, number in ids.items()}
        started, done = time.monotonic(), 0
        for some in _chunks(map(self._with_spared, documents.orders(changed))):
            fresh = [order for order in some if not self._is_stale(order, writes)]
            lives = self._reader.read(fresh, self._known) if fresh else {}
            moved: set[int | str] = set()
            for order in some:
                if order.order_id in lives:
                    self._one(order, lives[order.order_id], writes, moved)
                done += 1
                left = (time.monotonic() - started) / done * (len(changed) - done)
                self._progress(f"orders, {duration(left)} left", done, len(changed))

    def _one(self, order: Order, live: Live, writes: bool, moved: set[int | str]) -> None:
        """moved: contacts and e-mails that were written since `live` was read."""
        if not writes:
            self._plan(order, live)
            return
        own = _emails(order) | set(live.contacts)
        if moved & own:
            live = self._read(order)
        before = len(self.outcome.writes)
        self._sync(order, live)
        if len(self.outcome.writes) > before:
            moved |= own

    def _is_stale(self, order: Order, writes: bool) -> bool:
        """G4."""
        held = self._known.get(order.order_id)
        before = held.changed_at if held else None
        is_stale = bool(before and order.changed_at and order.changed_at < before)
        if is_stale:
            reason = "What landed last is older than what was written, so its news is not written."
            remedy = "It waits for what is newer: `make run` gets it, unless older data was put back."
            rejection = Rejection(order.order_id, "G4", reason, remedy)
            if writes:
                self._reject(order, rejection)
            else:
                self.outcome.rejections.append(rejection)
        return is_stale

    def _read(self, order: Order) -> Live:
        if self._facts.removed is None or self._facts.removed < 0:
            # The answer to its making may have been lost, and nothing keeps CiviCRM from having two.
            look_at_statuses(self._site, self._facts)
        known = {order.order_id: self._links.order(order.order_id)}
        return self._reader.read([order], known)[order.order_id]

    # -- plan

    def _plan(self, order: Order, live: Live) -> None:
        """Decide, as if what was decided for the orders before had been done."""
        for attendee in order.attendees:
            made = self._new_contacts.get((attendee.email or "").casefold())
            if made is not None and not live.duplicates.get(attendee.attendee_id):
                live.duplicates[attendee.attendee_id] = [made]
                live.contacts[made] = {}
        kinds: tuple[dict[int, Any], ...] = (live.contacts, live.emails, live.phones, live.addresses)
        for contact in live.contacts:
            for kind, foreseen in zip(kinds, self._foreseen.get(contact, ()), strict=False):
                kind[contact] = foreseen
        if live.refusal is not None:
            self.outcome.rejections.append(_untold(order, live.refusal))
            return
        decision = self._decided(order, live)
        self._take(decision)
        if decision.rejection is not None:
            return
        for write in decision.writes:
            if write.entity == "Contact" and write.action == "create" and write.made is not None:
                email = write.values.get("email_primary.email")
                self._new_contacts |= {email.casefold(): write.made} if email else {}
        if decision.writes:
            for contact, row in live.contacts.items():
                self._foreseen[contact] = (row, *(kind.get(contact, []) for kind in kinds[1:]))
        for write in decision.writes:
            self.outcome.add(order.order_id, write)
        self.outcome.written += bool(decision.writes)

    def _decided(self, order: Order, live: Live) -> Decision:
        decision = decide(order, live, self._policies)
        for title, contact in decision.twice:
            self.outcome.twice.setdefault(title, set()).add(contact)
        return decision

    def _take(self, decision: Decision) -> None:
        self.outcome.notes += decision.notes
        self.outcome.held += decision.held
        self.outcome.rejections += [each for each in (decision.rejection, decision.parked) if each]

    # -- sync

    def _sync(self, order: Order, live: Live) -> None:
        """Bring one order to what its document says, looking again where a write may have moved more."""
        before, said = len(self.outcome.writes), live.said
        if self._facts.removed is not None and self._facts.removed < 0:
            self._facts.removed = None  # the order that was to make it came to nothing
        for _ in range(LOOKS + 2 * len(order.attendees)):
            if live.refusal is not None:
                self._reject(order, _untold(order, live.refusal))
                break
            decision = self._decided(order, live)
            if decision.rejection is not None:
                self._reject(order, decision.rejection)
                break
            try:
                is_done = self._carry_out(order, live, decision)
            except _NoStatus as refusal:
                self._facts.removed = None
                rejection = Rejection(order.order_id, "P1", refusal.problem, refusal.remedy)
                self._reject(order, rejection)
                break
            except Refused as refusal:
                adopted = self._adopted(order, refusal)
                if not adopted:
                    self._refuse(order, refusal)
                    break
                is_done = False
            except _Vanished:
                is_done = False
            if is_done:
                self._settle(order, live, decision)
                break
            live = self._read(order)
            live.said = said  # the order counts as begun by now, and nothing was said of it
            self._looked(order)
        else:
            problem = f"Order {order.order_id} is never as it should be, however often it is written."
            remedy = "Somebody or something writes to it at the same time; it is tried again in the next run."
            self._reject(order, Rejection(order.order_id, "O11", problem, remedy))
        self.outcome.written += len(self.outcome.writes) > before

    def _looked(self, order: Order) -> None:
        """The order was read: what became of its writes is seen."""
        self._links.dropped(self._in_doubt.pop(order.order_id, ()))

    def _settle(self, order: Order, live: Live, decision: Decision) -> None:
        self._looked(order)
        self._take(decision)
        parked = [decision.parked] if decision.parked else []
        self._resolve(order, but=order.order_id if parked else None)
        self._links.reject([*decision.held, *parked])
        said: Said = {}
        for (entity, number), values in decision.said.items():
            record = entity, self._id(number) if isinstance(number, int) else number
            told = {name: live.digest(value) for name, value in self._filled(values).items()}
            said[record] = {**live.said.get(record, {}), **told}
        fingerprint = None if parked else order.fingerprint
        self._links.settled(order.order_id, fingerprint, order.changed_at, said)

    def _reject(self, order: Order, rejection: Rejection) -> None:
        self._resolve(order, but=rejection.key)
        self._links.reject([rejection])
        self.outcome.rejections.append(rejection)

    def _resolve(self, order: Order, but: str | None = None) -> None:
        keys = [order.order_id, *(each.attendee_id for each in order.attendees)]
        if gone := [key for key in keys if key in self._rejected and key != but]:
            self._links.resolve(gone)

    def _forget_rejected(self, documents: Documents) -> None:
        """What is in no model any more is refused no longer."""
        if self._rejected and (gone := documents.missing(list(self._rejected))):
            self._links.resolve(gone)

    def _refuse(self, order: Order, refusal: Refused) -> None:
        rule = self._rule
        reason, remedy = f"CiviCRM refuses what {rule} would write. {refusal.problem}", refusal.remedy
        held = self._links.order(order.order_id).contribution_id
        if isinstance(refusal, Duplicate) and held in refusal.ids:
            reason = f"Its contribution {held} is in CiviCRM, but the user of CIVICRM_API_KEY cannot see it."
            remedy = "Let no access rule (ACL) for contacts or financial types hide contributions from it."
        self._reject(order, Rejection(order.order_id, rule, reason, remedy))

    def _adopted(self, order: Order, refusal: Refused) -> bool:
        """C4: a contribution that the site names as the order's own."""
        held = self._links.order(order.order_id).contribution_id
        if not isinstance(refusal, Duplicate) or not refusal.ids or held in refusal.ids:
            return False
        self._links.keep(contribution=(order.order_id, refusal.ids[0]))
        return True

    def _carry_out(self, order: Order, live: Live, decision: Decision) -> bool:
        """Do the steps of a decision. Returns False when the order has to be read again before the rest."""
        is_marked = False
        for step in decision.steps:
            if isinstance(step, Keep):
                self._links.keep(**self._kept(order, step))
                self._taken_out(step)
                continue
            if not is_marked:
                self._links.unsettle([order.order_id])
                is_marked = True
            try:
                self._write(order, step)
            except Unreachable as lost:
                if not lost.maybe_done:
                    raise
                return False
            if step.rereads or (step.shared and not self._is_foreseen(order, live, step.shared)):
                return False
        return True

    def _is_foreseen(self, order: Order, live: Live, keys: Sequence[str]) -> bool:
        """Whether the site's rule takes these attendees for whom `decide` took them."""
        found = self._reader.duplicates(order, keys)
        return all({self._id(each) for each in live.duplicates.get(key, ())} == found[key] for key in found)

    def _write(self, order: Order, write: Write) -> None:
        self._rule = write.rule
        values = self._filled(write.values)
        number = self._made.get(write.id, write.id) if write.id is not None else None
        changes = {name: [write.before.get(name), value] for name, value in values.items()}
        call = self._links.begin(order.order_id, write.rule, write.entity, write.action, write.key, changes)
        self._in_doubt.setdefault(order.order_id, []).append(call)
        self._site.rule = write.rule
        try:
            made = self._send(write, values, number)
        except Unreachable as lost:
            if not lost.maybe_done:
                self._undone(order, call)
            raise
        except BoxofficeError as error:
            self._undone(order, call)
            if write.entity == "ParticipantStatusType" and isinstance(error, Denied | Refused):
                raise _NoStatus from None
            raise
        finally:
            self._site.rule = ""
        if made is None:
            self._undone(order, call)
            raise _Vanished
        if write.made is not None:
            self._made[write.made] = made
        if write.entity == "ParticipantStatusType":
            self._facts.removed = self._facts.statuses[str(values["name"])] = made
        kept = self._kept(order, write.keep) if write.keep else {}
        if (write.entity, write.action) == ("Contact", "create"):
            kept["contact"] = Link(write.key, order.order_id, made, None, made)
        self._links.answered(call, record=made, **kept)
        self._taken_out(write.keep)
        self._in_doubt[order.order_id].remove(call)
        self.outcome.add(order.order_id, write)

    def _taken_out(self, keep: Keep | None) -> None:
        if keep is not None and keep.removed is not None:
            self._links.taken_out(*keep.removed)

    def _undone(self, order: Order, call: int) -> None:
        self._links.failed(call)
        self._in_doubt[order.order_id].remove(call)

    def _send(self, write: Write, values: Row, number: int | None) -> int | None:
        """Make the call. Returns the record's id; None when there is none to update."""
        if write.entity == "ParticipantPayment":
            record = self._site.write3(
                write.entity, "create", {**({"id": number} if number else {}), **values}
            )
            return int(record["id"])
        params: Row = {"values": values}
        if write.action == "update":
            params["where"] = [["id", "=", number]]
        if write.entity == "Payment":
            # Without these the site would set participants to Registered and mail a receipt.
            params |= {"notificationForCompleteOrder": False, "disableActionsOnCompleteOrder": True}
        found = self._site.write(write.entity, write.action, params)
        if write.action == "update":
            return number if found else None
        return int(found[0]["id"])

    def _filled(self, values: Row) -> Row:
        """With the ids of what was made by now."""
        return {
            name: self._made.get(value, value) if name in IDS and isinstance(value, int) else value
            for name, value in values.items()
        }

    def _id(self, number: int) -> int:
        return self._made.get(number, number)

    def _kept(self, order: Order, keep: Keep) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if keep.link is not None:
            attendee, contact, number = keep.link
            found["link"] = Link(attendee, order.order_id, self._id(contact), self._id(number))
        if keep.unlink is not None:
            found["unlink"] = (keep.unlink[0], keep.unlink[2])
        if keep.contribution is not None:
            found["contribution"] = (order.order_id, self._id(keep.contribution))
        if keep.primary is not None:
            found["primary"] = (order.order_id, keep.primary)
        return found


def _chunks(orders: Iterator[Order]) -> Iterator[list[Order]]:
    """Orders that are read together."""
    chunk: list[Order] = []
    seats = 0
    for order in orders:
        if chunk and seats + len(order.attendees) > TOGETHER:
            yield chunk
            chunk, seats = [], 0
        chunk.append(order)
        seats += max(1, len(order.attendees))
    if chunk:
        yield chunk


def _untold(order: Order, refusal: BoxofficeError) -> Rejection:
    reason = f"CiviCRM does not tell who its attendees are. {refusal.problem}"
    return Rejection(order.order_id, "A", reason, refusal.remedy)


def _emails(order: Order) -> set[int | str]:
    return {each.email.casefold() for each in order.attendees if each.email}


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
