"""Table O: who of an order is its primary participant, and what becomes of the others."""

import pytest

from tests.python.reverse_etl.civicrm.conftest import Order, World, attendee, is_write, party


def gone(order: Order, *ids: str) -> None:
    """Eventbrite lists them no more."""
    for identity in ids:
        one = order[identity]
        one.is_gone, one.status, one.gross, one.fees = True, "deleted", 0, 0


def test_O1_attendees_come_first_in_ascending_ids_then_the_money(world: World) -> None:
    world.sells(party())
    run = world.settles()
    creates = [call for call in run.calls if is_write(call) and call["entity"] == "Participant"]
    assert [call["params"]["values"]["source"][-2:] for call in creates if call["action"] == "create"] == [
        *("11", "12", "13")
    ]
    assert run.writes[-2:] == [("Contribution", "create"), ("ParticipantPayment", "create")]


def test_O2_an_attendee_before_its_order_comes_without_money(world: World) -> None:
    order = party()
    world.sells(order)
    world.has_heads = False
    world.settles()
    assert world.look().status("11", "12", "13") == ["Registered"] * 3
    assert world.look().contributions == {}
    world.has_heads = True
    world.settles()
    assert len(world.look().participants) == 3
    world.look().money(order, "120.00", "9.85")


def test_O3_the_primary_is_the_lowest_number_of_a_mapped_class(world: World) -> None:
    order = Order("5551", [attendee(key, name) for key, name in (("8", "Ann"), ("9", "Ben"), ("10", "Cleo"))])
    order["8"].role, order["8"].ticket_class = None, "Backstage"
    world.sells(order)
    world.settles()
    assert world.look().primary(order).attendee == "9"
    assert world.look().contributions["5551"].payments == ["9"]


def test_O3_ids_that_are_no_numbers_are_in_order_as_text(world: World) -> None:
    order = Order("5551", [attendee(key, name) for key, name in (("b", "Ann"), ("a", "Ben"))])
    world.sells(order)
    world.settles()
    assert world.look().primary(order).attendee == "a"


@pytest.mark.parametrize("change", ["cancelled", "lower"])
def test_O3_once_chosen_it_stays(synced: World, change: str) -> None:
    order = synced.orders["5551"]
    if change == "cancelled":
        order["11"].status = "cancelled"
    else:
        order.attendees.append(attendee("5", "Eve", gross=0, fees=0))
    synced.settles()
    assert synced.look().primary(order).attendee == "11"
    synced.look().money(order, "120.00", "9.85")


def test_O4_the_primary_was_registered_by_nobody(synced: World) -> None:
    assert synced.look().live("11").raw["registered_by_id"] is None
    synced.staff(
        "update", "Participant", synced.look().live("11").id, registered_by_id=synced.look().live("13").id
    )
    synced.orders["5551"]["11"].phone = "1"
    synced.settles()
    assert synced.look().live("11").raw["registered_by_id"] is None


def test_O5_the_others_were_registered_by_it(synced: World) -> None:
    look = synced.look()
    assert [look.live(each).by for each in ("12", "13")] == ["11", "11"]
    synced.staff("update", "Participant", look.live("12").id, registered_by_id=None)
    synced.orders["5551"]["11"].phone = "1"
    run = synced.settles()
    assert synced.look().live("12").by == "11"
    assert run.did("Participant") == {"update": 1}


def test_O5_an_attendee_that_is_added_is_registered_by_it(synced: World) -> None:
    order = synced.orders["5551"]
    order.attendees.append(attendee("14", "Dan", gross=2000, fees=100))
    synced.settles()
    assert synced.look().live("14").by == "11"
    synced.look().money(order, "140.00", "10.85")


def test_O6_an_attendee_that_moves_to_another_order_goes_with_its_participant(synced: World) -> None:
    other = Order("5552", [attendee("21", "Dan")])
    synced.sells(other)
    synced.sync(must=0)
    before = synced.look().live("12")
    order = synced.orders["5551"]
    moved = order["12"]
    order.attendees.remove(moved)
    other.attendees.append(moved)
    synced.settles()
    look = synced.look()
    assert (look.live("12").id, look.live("12").by) == (before.id, "21")
    assert look.removed("12") == []
    look.money(order, "80.00", "6.57")
    look.money(other, "80.00", "6.28")


def test_O6_a_primary_that_moves_leaves_its_order_to_another(synced: World) -> None:
    other = Order("5552", [attendee("21", "Dan")])
    synced.sells(other)
    synced.sync(must=0)
    before = synced.look().live("11")
    order = synced.orders["5551"]
    moved = order["11"]
    order.attendees.remove(moved)
    other.attendees.append(moved)
    synced.settles()
    look = synced.look()
    assert (look.live("11").id, look.live("11").by) == (before.id, "21")
    assert look.primary(order).attendee == "12"
    look.money(order, "80.00")
    look.money(other, "80.00")


@pytest.mark.parametrize("ids", [("12",), ("12", "13")])
def test_O7_secondaries_that_are_gone_are_removed(synced: World, ids: tuple[str, ...]) -> None:
    order = synced.orders["5551"]
    gone(order, *ids)
    synced.settles()
    look = synced.look()
    for each in ids:
        (removed,) = look.removed(each)
        assert removed.raw["registered_by_id"] is None
    assert {each.attendee for each in look.participants if not look.removed(each.attendee)} == {
        "11",
        "12",
        "13",
    } - set(ids)
    left = 3 - len(ids)
    total = f"{40 * left}.00"
    found = look.contributions["5551"]
    assert (found.total, found.payments) == (total, ["11"])


def test_O7_all_secondaries_of_a_big_order(world: World) -> None:
    order = Order("5551", [attendee(str(place), f"P{place}") for place in range(10, 21)])
    world.sells(order)
    world.sync(must=0)
    ids = [str(place) for place in range(11, 21)]
    gone(order, *ids)
    world.settles()
    assert [len(world.look().removed(each)) for each in ids] == [1] * 10
    assert world.look().status("10") == ["Registered"]


@pytest.mark.parametrize("ids", [("12",), ("11",), ("11", "12", "13")])
@pytest.mark.parametrize("forgets", [False, True])
def test_O7_an_attendee_of_whom_nothing_is_told_stays(
    synced: World, ids: tuple[str, ...], forgets: bool
) -> None:
    """As after a listing that failed: the order has landed, its attendees not."""
    order, before = synced.orders["5551"], synced.look().state()
    everybody = order.attendees
    order.gross, order.fees = 12000, 985
    order.attendees = [each for each in everybody if each.id not in ids]
    if forgets and "11" not in ids:
        synced.forgets()
    run = synced.settles()
    assert run.writes == []
    assert f"{len(ids)} attendees" in run.words or "An attendee of it is" in run.words
    order.attendees = everybody
    assert synced.settles().writes == []
    assert synced.look().state() == before


def test_O7_money_waits_for_attendees_of_whom_nothing_is_told(world: World) -> None:
    order = party()
    order["13"].role, order["13"].ticket_class = None, "Backstage"
    world.sells(order)
    world.settles()
    everybody, order.gross, order.fees = order.attendees, 12000, 985
    order.attendees = [everybody[0], everybody[2]]
    assert world.settles().writes == []
    assert world.look().contributions["5551"].total == "80.00"


@pytest.mark.parametrize("checked_in", [False, True])
def test_O7_who_comes_back_is_the_participant_of_before(synced: World, checked_in: bool) -> None:
    order, before = synced.orders["5551"], synced.look().live("12")
    gone(order, "12")
    synced.settles()
    assert len(synced.look().removed("12")) == 1
    order["12"].is_gone, order["12"].status, order["12"].gross = False, "valid", 4000
    order["12"].is_checked_in = checked_in
    synced.settles()
    found = synced.look().live("12")
    assert (found.id, found.by, found.contact) == (before.id, "11", before.contact)
    assert found.status == ("Attended" if checked_in else "Registered")
    assert len(synced.look().participants) == 3


def test_O7_who_comes_back_as_somebody_else_is_another(synced: World) -> None:
    order, before = synced.orders["5551"], synced.look().live("12")
    gone(order, "12")
    synced.settles()
    order["12"].is_gone, order["12"].status, order["12"].gross = False, "valid", 4000
    order["12"].becomes(attendee("", "Zoe"))
    synced.settles()
    assert synced.look().live("12").id != before.id
    assert len(synced.look().removed("12")) == 1


def test_O7_very_many_at_once_are_not_believed(world: World) -> None:
    order = Order("5551", [attendee(str(place), f"P{place}") for place in range(10, 26)])
    world.sells(order)
    world.sync(must=0)
    ids = [str(place) for place in range(11, 22)]
    gone(order, *ids)
    order.gross, order.fees = 16 * 4000, 16 * 300
    run = world.sync(must=1)
    assert run.writes == []
    assert "11 of 16 participants" in run.words
    assert "to 0.69 for" in run.words
    assert world.sync(must=1).writes == [], "it is looked at until it is settled"
    assert "11 of 16" in world.plan(must=1).words
    world.policies["max_removed_share"] = "0.69"
    world.settles()
    assert [len(world.look().removed(each)) for each in ids] == [1] * 11


def test_O8_a_primary_that_is_gone_leaves_the_order_to_the_next(synced: World) -> None:
    order = synced.orders["5551"]
    before = synced.look()
    gone(order, "11")
    run = synced.settles()
    look = synced.look()
    assert [each.id for each in look.removed("11")] == [before.live("11").id]
    order.attendees.pop(0)
    assert look.primary(order).attendee == "12"
    found = look.money(order, "80.00", "6.57")
    assert found.id == before.contributions["5551"].id
    assert found.contact == look.live("12").contact
    # Everything was re-pointed before the old one was removed.
    last = [call for call in run.calls if is_write(call) and call["entity"] == "Participant"][-1]
    assert look.removed("11")[0].id in (
        last["params"]["values"].get("id"),
        last["params"].get("where", [[0] * 3])[0][2],
    )


def test_O8_a_primary_that_becomes_somebody_else_stays_primary(synced: World) -> None:
    """A4 of the primary: its new participant takes over the others and the money."""
    order = synced.orders["5551"]
    before = synced.look()
    order["11"].becomes(attendee("", "Zoe"))
    synced.settles()
    look = synced.look()
    assert [each.id for each in look.removed("11")] == [before.live("11").id]
    assert look.primary(order).attendee == "11"
    found = look.money(order, "120.00", "9.85")
    assert found.id == before.contributions["5551"].id
    assert look.name(found.contact) == "Zoe Okafor"


def test_O9_an_order_that_is_cancelled_cancels_all(synced: World) -> None:
    synced.orders["5551"].status = "cancelled"  # and no word of its attendees
    run = synced.settles()
    assert synced.look().status("11", "12", "13") == ["Cancelled"] * 3
    assert run.did() == {"Participant.update": 3}


def test_O10_an_order_without_any_mapped_class_is_skipped(world: World) -> None:
    order = party()
    for each in order.attendees:
        each.role, each.ticket_class = None, "Backstage"
    world.sells(order)
    run = world.settles()
    assert run.writes == []
    assert "Backstage" in run.words


def test_O10_an_order_whose_classes_lose_their_roles_stays_as_it_is(synced: World) -> None:
    """A line is missing in the mapping: nobody was refunded."""
    order = synced.orders["5551"]
    for each in order.attendees:
        each.role, each.ticket_class = None, "Backstage"
    run = synced.settles()
    assert run.writes == []
    assert "Backstage" in run.words
    synced.look().money(order, "120.00", "9.85")


@pytest.mark.parametrize("cancelled", [(), ("12",), ("11",)])
def test_O11_the_cascade_of_a_primary_is_foreseen(world: World, cancelled: tuple[str, ...]) -> None:
    world.policies["unpaid"] = "pending"
    order = party().unpaid()
    world.sells(order)
    world.sync(must=0)
    assert world.look().status("11", "12", "13") == ["Pending from pay later"] * 3
    order.paid()
    for each in cancelled:
        order[each].status = "cancelled"
    run = world.settles()
    wanted = ["Cancelled" if each in cancelled else "Registered" for each in ("11", "12", "13")]
    assert world.look().status("11", "12", "13") == wanted
    # The site moves the others itself; only those that must not go there are written after it.
    assert run.did("Participant")["update"] <= 1 + (2 if cancelled == ("11",) else len(cancelled))


def test_O11_an_unpaid_order_that_is_cancelled(world: World) -> None:
    world.policies["unpaid"] = "pending"
    order = party().unpaid()
    world.sells(order)
    world.sync(must=0)
    order.cancel()
    order["13"].is_checked_in = True
    world.policies["checked_in_but_cancelled"] = "attended"
    world.settles()
    assert world.look().status("11", "12", "13") == ["Cancelled", "Cancelled", "Attended"]
    assert world.look().contributions["5551"].status == "Cancelled"
