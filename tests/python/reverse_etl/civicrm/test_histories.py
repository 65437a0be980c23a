"""Any history of orders, staff, faults and kills ends in order: everybody there once, the money right."""

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from sandbox.server import StandIn
from tests.python.examples import examples
from tests.python.reverse_etl.civicrm.conftest import (
    REMOVED,
    WRITING,
    Killed,
    Order,
    World,
    attendee,
    begin,
    killed,
)

NAMES = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Flo")
STAFF_STATUSES = ("No-show", "Transferred")
FAULTS = (
    "drop",
    "apply_then_drop",
    "cut",
    "truncated",
    "server_error",
    "login_page",
    "maintenance",
    "deadlock",
)
NUMBERS = st.integers(0, 30)
# Some come more often than others.
OFTEN = {"buy": 4, "refund": 2, "transfer": 3, "e-mail": 2, "merge": 2, "run": 3, "kill": 4, "fault": 4}
KINDS = [
    *(
        "refund-all",
        "cancel",
        "uncancel",
        "pay",
        "rename",
        "check-in",
        "gone",
        "add",
        "move",
        "price",
        "purge",
        "trash",
        "purge-money",
        "no-show",
        "add-e-mail",
        "lose",
    ),
    *(kind for kind, times in OFTEN.items() for _ in range(times)),
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        NUMBERS,
        NUMBERS,
        NUMBERS,
    ),
    min_size=3,
    max_size=14,
)


class History:
    """What has happened; numbers choose among what there is."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.number = 10
        self.staff_deleted_money = False

    def of(self, rows: list[Any], number: int) -> Any:
        return rows[number % len(rows)]

    @property
    def orders(self) -> list[Order]:
        return list(self.world.orders.values())

    def person(self, number: int) -> Any:
        self.number += 1
        return attendee(
            str(self.number), NAMES[number % len(NAMES)], gross=1000 + 7 * (number % 5), fees=number
        )

    def happens(self, kind: str, a: int, b: int, c: int) -> None:
        world = self.world
        if kind == "buy" or not world.orders:
            order = Order(str(5000 + self.number), [self.person(a + place * c) for place in range(1 + b % 3)])
            if c % 4 == 0:
                order.unpaid()
            if c % 5 == 1:
                for each in order.attendees:
                    each.gross = each.fees = 0
            world.sells(order)
            return
        order = self.of(self.orders, a)
        one = self.of(order.attendees, b) if order.attendees else self.person(b)
        contacts = [row["id"] for row in world.look().contacts()]
        match kind:
            case "refund" if order.is_paid:
                order.refund(one.id)
            case "refund-all" if order.is_paid:
                order.refund()
            case "cancel":
                order.cancel()
            case "uncancel":
                order.status = "placed"
                for each in order.attendees:
                    each.status = "deleted" if each.is_gone else "valid" if order.is_paid else "unpaid"
            case "pay" if not order.is_paid and order.status == "placed":
                order.is_paid = True
                for each in order.attendees:
                    each.status = "deleted" if each.is_gone else "valid"
            case "transfer":
                one.becomes(attendee("", self.of([*NAMES], c)))
            case "e-mail":
                one.email = f"{NAMES[c % len(NAMES)].lower()}@example.{'com' if c % 2 else 'net'}"
            case "rename":
                one.last = self.of(["Lind", "Okafor", "O'Hara"], c)
            case "check-in":
                one.is_checked_in = not one.is_checked_in
            case "gone":
                one.is_gone, one.status, one.gross, one.fees = True, "deleted", 0, 0
            case "add":
                order.attendees.append(self.person(c))
                order.attendees[-1].status = "valid" if order.is_paid else "unpaid"
            case "move" if len(order.attendees) > 1:
                order.attendees.remove(one)
                self.of([each for each in self.orders if each is not order] or [order], c).attendees.append(
                    one
                )
            case "price" if not one.is_gone:
                one.gross += c
            case "merge" if len(contacts) > 1:
                gone, kept = self.of(contacts, b), self.of(contacts, c)
                if gone != kept:
                    world.merge(gone, kept)
            case "trash" if contacts:
                world.staff("delete", "Contact", self.of(contacts, b))
            case "add-e-mail" if contacts:
                world.staff(
                    "create", "Email", None, contact_id=self.of(contacts, b), email=f"staff{c}@example.org"
                )
            case "purge" | "no-show" | "purge-money":
                self.staff_changes(kind, b, c)
            case "run" | "kill" | "fault" | "lose":
                self.run(kind, b, c)

    def staff_changes(self, kind: str, b: int, c: int) -> None:
        world, look = self.world, self.world.look()
        live = [each for each in look.participants if each.status != REMOVED]
        if kind == "purge-money" and look.contributions:
            self.staff_deleted_money = True
            world.staff("purge", "Contribution", self.of([*look.contributions.values()], b).id)
        elif kind == "purge" and live:
            world.staff("purge", "Participant", self.of(live, b).id)
        elif kind == "no-show" and live:
            status = self.of([*STAFF_STATUSES], c)
            world.staff("update", "Participant", self.of(live, b).id, **{"status_id:name": status})

    def run(self, kind: str, b: int, c: int) -> None:
        world = self.world
        if kind == "lose":
            world.forgets()
        if kind == "fault":
            done = (
                {"applied": True}
                if c % 2 and FAULTS[b % len(FAULTS)] in ("server_error", "login_page")
                else {}
            )
            world.fault(self.of([*FAULTS], b), path=WRITING, after=c % 12, times=1, **done)
        trouble = killed(b % 12, ("before", "after")[c % 2]) if kind == "kill" else nullcontext()
        with suppress(Killed), trouble:
            world.sync()
        world.calm()

    # -- what must be true in the end

    def ends_well(self) -> None:
        world = self.world
        world.calm()
        codes = [world.sync(reconcile=True).exit_code for _ in range(2)]
        note(f"exit codes {codes}")
        run = world.sync()
        assert run.writes == [], run.writes
        run = world.sync(reconcile=True)
        assert run.writes == [], run.calls
        look = world.look()
        for order in self.orders:
            self.check(order, look)
        emails = [email for row in look.contacts() for email in look.emails(row["id"])]
        emails = [email for email in emails if not email.startswith("staff")]
        assert len(emails) == len(set(emails)), "one e-mail, two contacts"
        marks = [each.attendee for each in look.participants if each.status != REMOVED]
        assert len(marks) == len(set(marks)), "one attendee, two participants"
        assert world.ops("select count(*) from journal where state = 'sent'") == [(0,)]

    def check(self, order: Order, look: Any) -> None:
        there = [each for each in order.attendees if not each.is_gone]
        for each in order.attendees:
            live = [it for it in look.participants if it.attendee == each.id and it.status != REMOVED]
            assert len(live) == (0 if each.is_gone else 1), (each.id, live)
        for each in there:
            participant = look.live(each.id)
            assert each.email in look.emails(participant.contact)
            assert participant.status in (wanted(order, each), *STAFF_STATUSES)
        total = sum(each.gross for each in order.attendees)
        found = look.contributions.get(order.id)
        if found is None:
            assert self.staff_deleted_money or not there or not total or order.status != "placed"
            return
        if total and there and order.is_paid and order.status == "placed":
            assert found.status == "Completed"
            look.money(Order(order.id, there), f"{total // 100}.{total % 100:02}")
        assert len(found.payments) <= 2
        assert f"{float(found.net):.2f}" == f"{float(found.total) - float(found.fee):.2f}"


def wanted(order: Order, one: Any) -> str:
    over = ("cancelled", "refunded", "deleted")
    if order.status in over or one.status in over:
        return "Cancelled"
    return "Attended" if one.is_checked_in else "Registered"


@pytest.fixture
def fresh(server: StandIn, usual: dict[str, Any]) -> Iterator[Any]:
    """Makes empty worlds."""
    with TemporaryDirectory() as folder:
        count = 0

        def make() -> World:
            nonlocal count
            count += 1
            begin(server, usual)
            place = Path(folder) / str(count)
            place.mkdir()
            return World(server, place)

        yield make


@examples(8, shrinks=False)
@given(steps=STEPS)
def test_any_history_ends_in_order(fresh: Any, steps: list[tuple[str, int, int, int]]) -> None:
    history = History(fresh())
    for step in steps:
        history.happens(*step)
    history.ends_well()
