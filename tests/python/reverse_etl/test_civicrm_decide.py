"""What is decided for one order, without a site: the order of writes, and what is foreseen of them."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from boxoffice.errors import ConfigurationError
from reverse_etl.civicrm import decide
from reverse_etl.civicrm_state import (
    PAY_LATER,
    REMOVED,
    Attendee,
    Decision,
    Facts,
    Keep,
    Live,
    Order,
    Policies,
    Row,
    Write,
    amount,
    cents,
    policies,
)

ADDED = datetime(2026, 3, 1, 15, 0)  # noqa: DTZ001
STATUSES = ("Registered", "Attended", "No-show", "Cancelled", PAY_LATER, REMOVED)
MONEY = {"Completed": 1, "Pending": 2, "Cancelled": 3, "Failed": 4, "Refunded": 7, "Partially paid": 8}


def facts(**more: object) -> Facts:
    found = Facts(
        ZoneInfo("America/New_York"),
        events={"Gala": [{"id": 41, "is_active": True, "is_monetary": True, "financial_type_id": 4}]},
        statuses={name: number for number, name in enumerate(STATUSES, start=1)},
        roles={"attendee": "1", "host": "3"},
        contribution_statuses=MONEY,
        instruments={"Credit Card": "1", "Check": "4"},
        default_currency="USD",
        locations={"Home": 1, "Work": 2, "Billing": 5},
        default_location=1,
        removed=6,
    )
    return replace(found, **more)  # type: ignore[arg-type]


def seat(key: str, name: str = "Ann", **more: object) -> Attendee:
    said = {"first_name": name, "last_name": "Okafor", "email": f"{name.lower()}@example.org"}
    told: dict[str, object] = {**said, "civicrm_role": "Attendee", "created_at": ADDED, "gross_minor": 4000}
    return Attendee(key, "5551", "Gala", **{**told, **more})  # type: ignore[arg-type]


def order(*attendees: Attendee, **more: object) -> Order:
    gross = sum(each.gross_minor or 0 for each in attendees)
    told: dict[str, object] = {
        "ordered_at": ADDED,
        "currency": "USD",
        "gross_minor": gross,
        "fees_minor": 985,
    }
    return Order("5551", "Gala", attendees, **{**told, **more})  # type: ignore[arg-type]


def held(wanted: Order, **more: object) -> Live:
    """What the site holds once an order was written as it was first."""
    live = Live(facts(), links={}, primary=wanted.attendees[0].attendee_id, contribution_id=455)
    for place, each in enumerate(wanted.attendees):
        contact, number = 3300 + place, 800 + place
        live.links[each.attendee_id] = number
        live.marked[each.attendee_id] = [number]
        live.duplicates[each.attendee_id] = [contact]
        named = {"first_name": each.first_name, "last_name": each.last_name}
        live.contacts[contact] = {"id": contact, "is_deleted": False, **named}
        live.emails[contact] = [{"id": 900 + place, "email": each.email, "is_primary": True}]
        row: Row = {"id": number, "contact_id": contact, "event_id": 41, "status_id": 1, "role_id": ["1"]}
        live.participants[number] = {**row, "registered_by_id": 800 if place else None}
    live.contribution = {
        **{"id": 455, "contact_id": 3300, "total_amount": wanted.gross_minor and wanted.gross_minor / 100},
        **{"fee_amount": 9.85, "paid_amount": 120.0, "contribution_status_id": MONEY["Completed"]},
    }
    live.payments = [{"id": 97, "participant_id": 800, "contribution_id": 455}]
    return replace(live, **more)  # type: ignore[arg-type]


def told(decision: Decision) -> list[tuple[str, str, str]]:
    return [(write.rule, f"{write.action} {write.entity}", write.key) for write in decision.writes]


def values(decision: Decision, entity: str) -> list[Row]:
    return [write.values for write in decision.writes if write.entity == entity]


THREE = order(seat("9", "Ann"), seat("10", "Ben"), seat("11", "Cora"))


def test_a_new_order_is_one_contribution_and_one_payment_row() -> None:
    decision = decide(order(seat("11")), Live(facts()), Policies())
    assert told(decision) == [
        ("A1", "create Contact", "11"),
        ("A1", "create Participant", "11"),
        ("C3", "create Contribution", "5551"),
        ("C3", "create ParticipantPayment", "5551"),
    ]
    (participant,), (contribution,) = values(decision, "Participant"), values(decision, "Contribution")
    assert participant["register_date"] == "2026-03-01 10:00:00"
    assert (contribution["total_amount"], contribution["fee_amount"]) == ("40.00", "9.85")
    contact = decision.writes[0].made
    assert participant["contact_id"] == contribution["contact_id"] == contact
    assert values(decision, "ParticipantPayment") == [
        {"participant_id": decision.writes[1].made, "contribution_id": decision.writes[2].made}
    ]


def test_ids_compare_as_numbers() -> None:
    decision = decide(THREE, Live(facts()), Policies())
    first, *others = values(decision, "Participant")
    assert first["source"] == "Eventbrite attendee 9"
    assert "registered_by_id" not in first
    made = next(write.made for write in decision.writes if write.entity == "Participant")
    assert [each["registered_by_id"] for each in others] == [made, made]


def test_an_order_as_it_was_needs_nothing() -> None:
    assert decide(THREE, held(THREE), Policies()).steps == []


def test_two_attendees_of_one_new_e_mail_are_one_contact() -> None:
    twins = order(seat("9", "Ann"), seat("10", "Ben", email="ANN@example.org"))
    decision = decide(twins, Live(facts()), Policies())
    assert len(values(decision, "Contact")) == 1
    assert len({each["contact_id"] for each in values(decision, "Participant")}) == 1
    assert decision.writes[0].shared == ("10",), "the site's rule could say otherwise"


def test_who_replaces_the_primary_takes_all_over_before_the_old_one_goes() -> None:
    live = held(THREE)
    live.duplicates["9"] = []
    decision = decide(replace(THREE, attendees=(seat("9", "Zoe"), *THREE.attendees[1:])), live, Policies())
    new = next(write.made for write in decision.writes if write.entity == "Participant")
    assert told(decision) == [
        ("A4", "create Contact", "9"),
        ("A4", "create Participant", "9"),
        ("O5", "update Participant", "10"),
        ("O5", "update Participant", "11"),
        ("C6", "update ParticipantPayment", "5551"),
        ("C6", "update Contribution", "5551"),
        ("A4", "update Participant", "9"),
    ]
    assert decision.writes[4].values == {"participant_id": new}
    assert decision.writes[-1].values == {"status_id": 6}


def test_the_primary_that_leaves_is_taken_out_last() -> None:
    live = held(THREE)
    gone = replace(THREE.attendees[0], is_gone=True)
    decision = decide(replace(THREE, attendees=(gone, *THREE.attendees[1:])), live, Policies())
    assert told(decision) == [
        ("O4", "update Participant", "10"),
        ("O5", "update Participant", "11"),
        ("C6", "update ParticipantPayment", "5551"),
        ("C6", "update Contribution", "5551"),
        ("O7", "update Participant", "9"),
    ]
    last = decision.writes[-1]
    assert (last.keep, last.id) == (Keep("O7", unlink=("9", 800, "O7: removed")), 800)


def test_what_follows_the_primary_by_itself_is_not_written() -> None:
    live = held(THREE)
    for row in live.participants.values():
        row["status_id"] = live.facts.statuses[PAY_LATER]
    decision = decide(THREE, live, Policies())
    assert told(decision) == [("P5", "update Participant", "9")]
    assert decision.writes[0].rereads


@pytest.mark.parametrize(
    ("status", "is_paid", "gross", "current", "writes"),
    [
        ("refunded", True, 0, "Completed", [("C8", "Refunded")]),
        ("cancelled", False, 12000, "Pending", [("C8", "Cancelled")]),
        ("placed", True, 8000, "Completed", [("C5", "80.00")]),
        ("placed", True, 8000, "Refunded", [("C10", "Completed"), ("C5", "80.00")]),
        ("placed", True, 8000, "Pending", [("C5", "80.00"), ("C11", "Completed")]),
        ("placed", True, 0, "Partially paid", [("C8", "Refunded")]),
        ("refunded", True, 0, "Refunded", []),
        ("cancelled", False, 0, "Cancelled", []),
        ("refunded", True, 0, "Failed", []),
    ],
)
def test_total_and_status_never_change_in_one_call(
    status: str, is_paid: bool, gross: int, current: str, writes: list[tuple[str, str]]
) -> None:
    live = held(THREE)
    assert live.contribution is not None
    live.contribution["contribution_status_id"] = MONEY[current]
    wanted = replace(THREE, status=status, is_paid=is_paid, gross_minor=gross)
    found = [write for write in decide(wanted, live, Policies()).writes if write.entity == "Contribution"]
    names = {number: name for name, number in MONEY.items()}
    assert all(len(write.values) == 1 for write in found)
    assert [(write.rule, _only(write, names)) for write in found] == writes


def _only(write: Write, names: dict[int, str]) -> str:
    (value,) = write.values.values()
    return names[value] if isinstance(value, int) else str(value)


def test_money_is_exact() -> None:
    assert [cents(each) for each in ("0.07", 110.15, 120, None, "1.005")] == [7, 11015, 12000, 0, 101]
    assert [amount(each) for each in (7, -5000, 12000)] == ["0.07", "-50.00", "120.00"]
    assert order(currency_exponent=0).cents(2500) == 250_000
    assert order(currency_exponent=3).cents(12_345) == 1235


@pytest.mark.parametrize("rows", [{"refund": "amount"}, {"refunds": "sometimes"}])
def test_a_policy_that_means_nothing_is_named(rows: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(rows))):
        policies(rows)
