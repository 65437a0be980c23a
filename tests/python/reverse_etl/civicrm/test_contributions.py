"""Table C: the one contribution of an order and its payment row, to the cent."""

import pytest

from tests.python.reverse_etl.civicrm.conftest import Order, World, attendee, party


def test_C1_an_event_without_money_has_participants_only(world: World) -> None:
    world.sells(party(event="Open Day"))
    world.settles()
    assert world.look().status("11", "12", "13") == ["Registered"] * 3
    assert world.look().contributions == {}


def test_C2_a_free_order_has_none(world: World) -> None:
    order = party()
    for each in order.attendees:
        each.gross = each.fees = 0
    world.sells(order)
    world.settles()
    assert world.look().contributions == {}
    # Until something is sold with it.
    order["12"].gross, order["12"].fees = 1000, 100
    world.settles()
    world.look().money(order, "10.00", "1.00")


@pytest.mark.parametrize(("event", "kind"), [("Gala", "Event Fee"), ("Recital", "Donation")])
def test_C3_a_paid_order_is_one_contribution_of_its_primary(world: World, event: str, kind: str) -> None:
    order = party(event=event)
    world.sells(order)
    world.settles()
    look = world.look()
    found = look.money(order, "120.00", "9.85")
    assert found.net == "110.15"
    assert (found.received, found.currency) == ("2026-02-01 05:00:00", "USD")
    assert (found.instrument, found.source) == ("Credit Card", "Eventbrite order 5551")
    assert found.posted == ["120.00"]
    assert (found.raw["invoice_id"], found.payments) == ("EB-5551", ["11"])
    types = {row["id"]: row["name"] for row in look.rows("FinancialType")}
    assert types[found.raw["financial_type_id"]] == kind
    (line,) = look.rows("LineItem")
    assert (line["entity_table"], line["entity_id"]) == ("civicrm_participant", look.live("11").id)


@pytest.mark.parametrize("is_paid", [False, True])
def test_C3_an_order_paid_offline(world: World, is_paid: bool) -> None:
    order = party().unpaid()
    if is_paid:
        order.paid()
    world.sells(order)
    world.settles()
    found = world.look().money(order, "120.00", "9.85", "Completed" if is_paid else "Pending")
    assert found.instrument == "Check"
    assert found.posted == (["120.00"] if is_paid else [])


@pytest.mark.parametrize("total", [120, 100])
def test_C4_a_contribution_of_this_order_is_adopted(world: World, total: int) -> None:
    values = {
        "contact_id": world.knows("Ann", "ann@example.org"),
        "financial_type_id": 4,
        "invoice_id": "EB-5551",
    }
    made = world.staff("create", "Contribution", None, **values, total_amount=total)
    order = party()
    world.sells(order)
    world.settles()
    assert world.look().money(order, "120.00", "9.85").id == made


def test_C4_a_contribution_made_meanwhile_is_adopted(world: World) -> None:
    """What the reads did not show is known from the refusal."""
    order = party()
    world.sells(order)
    values = {"contact_id": 2, "financial_type_id": 4, "invoice_id": "EB-5551", "total_amount": 50}
    changes = [{"do": "create", "entity": "Contribution", "values": values}]
    world.fault("apply", path="Participant/create$", changes=changes)
    world.settles()
    world.look().money(order, "120.00", "9.85")
    assert len(world.look().contributions) == 1


def test_C5_a_ticket_that_is_added_raises_the_total(synced: World) -> None:
    order = synced.orders["5551"]
    order.attendees.append(attendee("14", "Dan", gross=2550, fees=115))
    run = synced.settles()
    found = synced.look().money(order, "145.50", "11.00")
    assert found.posted == ["120.00", "25.50"]
    assert run.did("Contribution") == {"update": 1}
    (line,) = synced.look().rows("LineItem")
    assert line["line_total"] == 145.5


def test_C5_equal_to_the_cent_is_not_written(synced: World) -> None:
    order = synced.orders["5551"]
    order["11"].gross, order["12"].gross = 3999, 4001
    assert synced.settles().did("Contribution") == {}
    synced.look().money(order, "120.00", "9.85")


def test_C5_a_fee_alone(synced: World) -> None:
    order = synced.orders["5551"]
    order["11"].fees += 15
    run = synced.settles()
    assert synced.look().money(order, "120.00", "10.00").posted == ["120.00"]
    assert run.did() == {"Contribution.update": 1}


def test_C6_the_money_goes_with_the_primary(synced: World) -> None:
    order = synced.orders["5551"]
    before = synced.look()
    order["11"].becomes(attendee("", "Zoe"))
    run = synced.settles()
    look = synced.look()
    found = look.money(order, "120.00", "9.85")
    assert found.contact != before.contributions["5551"].contact
    assert run.did("ParticipantPayment") == {"create": 1}  # the same row, by its id
    assert len(look.rows("ParticipantPayment")) == 1
    # As the site has it, the line stays with the first one.
    (line,) = look.rows("LineItem")
    assert line["entity_id"] == before.live("11").id


def test_C6_a_row_of_the_new_pair_that_is_there_already_is_kept_and_told(synced: World) -> None:
    order = synced.orders["5551"]
    look = synced.look()
    pair = {"participant_id": look.live("12").id, "contribution_id": look.contributions["5551"].id}
    synced.staff("create", "ParticipantPayment", None, **pair)
    order["11"].is_gone, order["11"].status, order["11"].gross, order["11"].fees = True, "deleted", 0, 0
    run = synced.sync()
    assert run.exit_code in (0, 1)
    assert "5551" in run.words
    assert synced.sync(reconcile=True).writes == []
    order.attendees.pop(0)
    synced.look().money(order, "80.00", payments=2)


def mixed() -> Order:
    """One of three tickets is of a class without a role."""
    order = party()
    order["12"].role, order["12"].ticket_class, order["12"].gross = None, "Backstage", 1000
    return order


@pytest.mark.parametrize(("policy", "total", "fee"), [(None, "80.00", "6.57"), ("order", "90.00", "9.85")])
def test_C7_mapped_and_unmapped_classes(world: World, policy: str | None, total: str, fee: str) -> None:
    if policy:
        world.policies["amount"] = policy
    order = mixed()
    world.sells(order)
    run = world.settles()
    assert world.look().money(order, total).payments == ["11"]
    if policy is None:
        assert world.look().money(order, total, fee)
        assert "Backstage" in run.words


def test_C8_the_example_of_the_table(synced: World) -> None:
    """Three tickets of 40.00; one refunded; then all."""
    order = synced.orders["5551"]
    synced.look().money(order, "120.00", "9.85")
    order.refund("12")
    synced.settles()
    look = synced.look()
    assert look.money(order, "80.00", "6.57").posted == ["120.00", "-40.00"]
    assert look.status("11", "12", "13") == ["Registered", "Cancelled", "Registered"]
    order.refund()
    synced.settles()
    look = synced.look()
    found = look.money(order, "80.00", status="Refunded")
    assert (found.posted, found.paid) == (["120.00", "-40.00", "-80.00"], "0.00")
    assert look.status("11", "12", "13") == ["Cancelled"] * 3


def test_C8_refunded_at_once(synced: World) -> None:
    order = synced.orders["5551"].refund()
    run = synced.settles()
    found = synced.look().money(order, "120.00", status="Refunded")
    assert found.posted == ["120.00", "-120.00"]  # posted once, not twice
    assert run.did("Contribution") == {"update": 1}


def test_C8_an_order_never_paid_that_is_cancelled(world: World) -> None:
    order = party().unpaid()
    world.sells(order)
    world.sync(must=0)
    order.cancel()
    world.settles()
    look = world.look()
    assert look.money(order, "120.00", status="Cancelled").posted == []
    assert look.status("11", "12", "13") == ["Cancelled"] * 3


def test_C8_a_cancelled_order_whose_money_was_kept(synced: World) -> None:
    order = synced.orders["5551"].cancel()
    synced.settles()
    synced.look().money(order, "120.00", "9.85")
    assert synced.look().status("11", "12", "13") == ["Cancelled"] * 3


def test_C8_an_order_that_was_refunded_before_it_ever_came(world: World) -> None:
    order = party().refund()
    world.sells(order)
    world.settles()
    assert world.look().contributions == {}
    assert world.look().status("11", "12", "13") == ["Cancelled"] * 3


def test_C9_a_partial_refund_lowers_the_total(synced: World) -> None:
    order = synced.orders["5551"]
    order["12"].gross = 2750
    synced.settles()
    found = synced.look().money(order, "107.50", "9.85")
    assert found.posted == ["120.00", "-12.50"]
    assert synced.look().status("12") == ["Registered"]


def test_C9_in_the_ledger_a_refund_is_a_payment_and_the_total_stays(world: World) -> None:
    world.policies["refunds"] = "ledger"
    order = party()
    world.sells(order)
    world.sync(must=0)
    order.refund("12")
    world.settles()
    found = world.look().money(order, "120.00", status="Partially paid")
    assert (found.posted, found.paid, found.balance) == (["120.00", "-40.00"], "80.00", "40.00")
    assert world.look().status("11", "12", "13") == ["Registered", "Cancelled", "Registered"]
    order.refund()
    world.settles()
    found = world.look().money(order, "120.00", status="Refunded")
    assert (found.posted, found.paid) == (["120.00", "-40.00", "-80.00"], "0.00")


def test_C9_in_the_ledger_a_ticket_added_after_a_refund_is_sold_beside_it(world: World) -> None:
    world.policies["refunds"] = "ledger"
    order = party()
    world.sells(order)
    world.sync(must=0)
    order.refund("12")
    world.sync(must=0)
    order.attendees.append(attendee("14", "Dan", gross=9000))
    world.settles()
    found = world.look().contributions["5551"]
    assert (found.total, found.paid, found.balance) == ("210.00", "170.00", "40.00")


@pytest.mark.parametrize("left", [4000, 2500])
def test_C10_paid_again_after_a_refund(synced: World, left: int) -> None:
    order = synced.orders["5551"].refund()
    synced.sync(must=0)
    order.status = "placed"
    for each in order.attendees:
        each.status, each.gross, each.fees = "valid", left, 300
    synced.settles()
    synced.look().money(order, f"{3 * left / 100:.2f}", "9.00")
    assert synced.look().status("11", "12", "13") == ["Registered"] * 3


def test_C11_an_order_that_is_paid_at_last(world: World) -> None:
    order = party().unpaid()
    world.sells(order)
    world.sync(must=0)
    order.paid()
    order["12"].status, order["13"].is_checked_in = "cancelled", True
    world.settles()
    assert world.look().money(order, "120.00", "9.85").posted == ["120.00"]
    assert world.look().status("11", "12", "13") == ["Registered", "Cancelled", "Attended"]


def test_C11_in_the_ledger_the_payment_leaves_the_participants_alone(world: World) -> None:
    world.policies["refunds"] = "ledger"
    order = party().unpaid()
    world.sells(order)
    world.sync(must=0)
    order.paid()
    order["11"].status, order["13"].is_checked_in = "cancelled", True
    world.settles()
    assert world.look().money(order, "120.00").posted == ["120.00"]
    assert world.look().status("11", "12", "13") == ["Cancelled", "Registered", "Attended"]
    assert [row for row in world.look().rows("Activity") if row["subject"] == "Receipt"] == []


def staff_say(world: World, order: str, status: str) -> None:
    identity = world.look().contributions[order].id
    world.staff("update", "Contribution", identity, **{"contribution_status_id:name": status})


def test_C12_by_a_detour_where_there_is_one(world: World) -> None:
    order = party().unpaid()
    world.sells(order)
    world.sync(must=0)
    staff_say(world, "5551", "Partially paid")
    order.cancel()
    for each in order.attendees:
        each.gross = 0
    world.sync(must=0)
    assert world.look().contributions["5551"].status in ("Refunded", "Cancelled")
    world.rests()


def test_C12_without_a_way_it_is_told_and_left(synced: World) -> None:
    staff_say(synced, "5551", "Chargeback")
    synced.sells(Order("5552", [attendee("21", "Dan")]))
    synced.orders["5551"].refund()
    run = synced.sync(must=1)
    assert "5551" in run.words
    assert synced.rejected()["5551"] == "C12"
    look = synced.look()
    assert look.contributions["5551"].status == "Chargeback"
    look.money(synced.orders["5552"], "40.00")
    assert synced.sync(must=1).writes == []
    staff_say(synced, "5551", "Completed")
    synced.sync(must=0)
    assert synced.look().contributions["5551"].status == "Refunded"
    assert synced.rejected() == {}


def test_C13_a_contribution_that_staff_deleted_comes_again_once(synced: World) -> None:
    order = synced.orders["5551"]
    synced.staff("purge", "Contribution", synced.look().contributions["5551"].id)
    run = synced.sync(must=0, reconcile=True)
    assert "5551" in run.words
    synced.look().money(order, "120.00", "9.85")
    synced.rests()
    synced.staff("purge", "Contribution", synced.look().contributions["5551"].id)
    synced.sync(reconcile=True)
    assert synced.look().contributions == {}


def test_C13_or_is_left_deleted(synced: World) -> None:
    synced.policies["deleted_contribution"] = "leave"
    synced.staff("purge", "Contribution", synced.look().contributions["5551"].id)
    synced.sync(reconcile=True)
    synced.orders["5551"].refund("12")
    synced.sync()
    assert synced.look().contributions == {}
    assert synced.look().status("12") == ["Cancelled"]


def test_C14_one_cancelled_ticket_cancels_no_contribution(synced: World) -> None:
    order = synced.orders["5551"]
    for each in ("11", "12"):
        order[each].status = "cancelled"
    run = synced.settles()
    synced.look().money(order, "120.00", "9.85")
    assert run.did("Contribution") == {}


def test_C15_sums_are_exact(world: World) -> None:
    for row in ((10, 20), (2910, 2910, 2910), (1, 1, 1), (110, 220, 330), (33, 33, 34), (5, 1999999)):
        key = "-".join(map(str, row))
        people = [
            attendee(f"{key}-{it}", f"P{it}-{key}", gross=price, fees=1) for it, price in enumerate(row)
        ]
        world.sells(Order(key, people))
    world.settles()
    look = world.look()
    for order in world.orders.values():
        look.money(order, told(order), f"0.0{len(order.attendees)}")
        order.refund(order.attendees[0].id)
    world.settles()
    look = world.look()
    for order in world.orders.values():
        look.money(order, told(order))


def told(order: Order) -> str:
    cents = sum(each.gross for each in order.attendees)
    return f"{cents // 100}.{cents % 100:02}"


def test_C15_a_currency_without_cents(world: World) -> None:
    enable(world, "JPY")
    order = Order("5551", [attendee("11", gross=4000, fees=30)], currency="JPY", exponent=0)
    world.sells(order)
    world.settles()
    assert world.look().money(order, "4000.00", "30.00").currency == "JPY"


def enable(world: World, currency: str) -> None:
    (group,) = [row["id"] for row in world.look().rows("OptionGroup") if row["name"] == "currencies_enabled"]
    values = {"option_group_id": group, "name": currency, "label": currency, "value": currency}
    world.staff("create", "OptionValue", None, **values, is_active=True)


def test_C16_another_currency_is_sent_once_the_site_has_it(world: World) -> None:
    order = party(currency="EUR")
    world.sells(order, Order("5552", [attendee("21", "Dan")]))
    run = world.sync(must=1)
    assert "EUR" in run.words
    assert world.rejected() == {"5551": "C16"}
    assert set(world.look().contributions) == {"5552"}
    enable(world, "EUR")
    world.sync(must=0)
    assert world.look().money(order, "120.00", "9.85").currency == "EUR"
    assert world.rejected() == {}


def test_C17_no_tax_is_sent(synced: World) -> None:
    assert synced.look().contributions["5551"].raw["tax_amount"] in (0, None)
