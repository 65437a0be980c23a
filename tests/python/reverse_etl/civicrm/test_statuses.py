"""Table P: the status of a participant; the first row that fits wins."""

import pytest

from tests.python.reverse_etl.civicrm.conftest import World, party


def test_P1_who_was_replaced_is_removed_even_when_cancelled_too(synced: World) -> None:
    one = synced.orders["5551"]["12"]
    one.email, one.status, one.gross = "new@example.org", "cancelled", 0
    synced.settles()
    assert len(synced.look().removed("12")) == 1
    assert synced.look().status("12") == ["Cancelled"]


OVER = {"11": "cancelled", "12": "refunded", "13": "deleted"}


def test_P2_a_ticket_that_counts_no_more_is_cancelled(synced: World) -> None:
    for identity, status in OVER.items():
        synced.orders["5551"][identity].status = status
        run = synced.settles()
        assert synced.look().status(identity) == ["Cancelled"]
        assert run.did() == {"Participant.update": 1}


@pytest.mark.parametrize("status", OVER.values())
def test_P2_of_a_whole_order_all_are_cancelled(synced: World, status: str) -> None:
    synced.orders["5551"].status = status
    synced.settles()
    assert synced.look().status("11", "12", "13") == ["Cancelled"] * 3


def test_P2_refunded_and_still_attending_stays_registered(synced: World) -> None:
    synced.orders["5551"]["12"].gross = 0
    synced.settles()
    assert synced.look().status("12") == ["Registered"]
    synced.look().money(synced.orders["5551"], "80.00")


@pytest.mark.parametrize(("policy", "status"), [(None, "Cancelled"), ("attended", "Attended")])
def test_P2_cancelled_goes_before_checked_in_unless_said_otherwise(
    synced: World, policy: str | None, status: str
) -> None:
    if policy:
        synced.policies["checked_in_but_cancelled"] = policy
    one = synced.orders["5551"]["12"]
    one.is_checked_in, one.status = True, "cancelled"
    synced.settles()
    assert synced.look().status("12") == [status]


def test_P3_who_was_let_in_attended(synced: World) -> None:
    synced.orders["5551"]["12"].is_checked_in = True
    synced.settles()
    assert synced.look().status("11", "12", "13") == ["Registered", "Attended", "Registered"]
    synced.orders["5551"]["12"].is_checked_in = False
    synced.settles()
    assert synced.look().status("12") == ["Registered"]


@pytest.mark.parametrize("policy", [None, "pending"])
def test_P4_unpaid_orders_are_registered_or_pending(world: World, policy: str | None) -> None:
    if policy:
        world.policies["unpaid"] = policy
    order = party().unpaid()
    world.sells(order)
    world.settles()
    status = "Pending from pay later" if policy == "pending" else "Registered"
    assert world.look().status("11", "12", "13") == [status] * 3
    order.paid()
    world.settles()
    assert world.look().status("11", "12", "13") == ["Registered"] * 3
    world.look().money(order, "120.00", "9.85")


def test_P5_otherwise_registered(synced: World) -> None:
    assert synced.look().status("11", "12", "13") == ["Registered"] * 3


def test_P6_a_partial_refund_of_a_valid_ticket_leaves_its_status(synced: World) -> None:
    synced.orders["5551"]["12"].gross = 2500
    run = synced.settles()
    assert synced.look().status("12") == ["Registered"]
    assert run.did() == {"Contribution.update": 1}


@pytest.mark.parametrize("change", ["name", "cancelled"])
def test_P7_what_staff_have_set_is_kept_and_told(synced: World, change: str) -> None:
    said = {"11": "No-show", "12": "Transferred", "13": "Partially paid"}
    before = synced.look()
    for identity, status in said.items():
        synced.staff("update", "Participant", before.live(identity).id, **{"status_id:name": status})
        one = synced.orders["5551"][identity]
        one.last, one.status = ("Lind", "valid") if change == "name" else ("Okafor", "cancelled")
    run = synced.sync()
    assert run.exit_code in (0, 1)
    assert all(status in run.words for status in said.values())
    look = synced.look()
    assert look.status(*said) == [*said.values()]
    name = "Ben Lind" if change == "name" else "Ben Okafor"
    assert look.name(before.live("12").contact) == name
    assert synced.sync().writes == []


def test_P7_a_status_of_ours_that_staff_set_stays_until_there_is_news(synced: World) -> None:
    """At the door somebody marks who came, and Eventbrite knows nothing of it."""
    look = synced.look()
    said = {"11": "Attended", "12": "Cancelled", "13": "Pending from pay later"}
    for identity, status in said.items():
        synced.staff("update", "Participant", look.live(identity).id, **{"status_id:name": status})
    synced.orders["5551"]["12"].last = "Lind"
    run = synced.sync(must=0)
    assert synced.look().status(*said) == [*said.values()]
    changed = [f"Somebody changed status_id of Participant {look.live(each).id} " for each in said]
    assert all(sentence in run.words for sentence in changed)
    synced.orders["5551"]["13"].status = "cancelled"
    synced.sync(must=0)
    assert synced.look().status(*said) == ["Attended", "Cancelled", "Cancelled"]
    synced.sync(must=0, reconcile=True)
    assert synced.look().status(*said) == ["Registered", "Registered", "Cancelled"]
    synced.rests()


def test_P8_who_comes_after_all_is_registered_again(synced: World) -> None:
    synced.orders["5551"]["12"].status = "cancelled"
    synced.sync(must=0)
    before = synced.look().live("12")
    synced.orders["5551"]["12"].status = "valid"
    synced.settles()
    assert (synced.look().live("12").id, synced.look().live("12").status) == (before.id, "Registered")
