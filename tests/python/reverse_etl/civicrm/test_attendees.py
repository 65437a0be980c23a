"""Table A: from an attendee to a contact and a participant, with the tests that the table asks for."""

import pytest

from tests.python.reverse_etl.civicrm.conftest import (
    REMOVED,
    Moment,
    Order,
    World,
    attendee,
    is_write,
    party,
)
from tests.python.reverse_etl.civicrm.mixed import crash_everywhere


def one(world: World, **more: object) -> Order:
    """An order of one ticket, Ann's."""
    order = Order("5551", [attendee("11", "Ann", **more)])
    world.sells(order)
    return order


def by_name(world: World, *names: str) -> int:
    """A dedupe rule that staff have made: these fields together."""
    rule = world.staff(
        "create", "DedupeRuleGroup", None, contact_type="Individual", threshold=10, used="General"
    )
    world.staff("update", "DedupeRuleGroup", rule, name="Names", title="Names")
    for name in names:
        values = {"dedupe_rule_group_id": rule, "rule_table": "civicrm_contact", "rule_field": name}
        world.staff("create", "DedupeRule", None, **values, rule_weight=5)
    return rule


def test_A1_a_new_person_becomes_a_contact_and_a_participant(world: World) -> None:
    one(world)
    world.settles()
    look = world.look()
    (contact,) = look.contacts()
    assert (contact["contact_type"], contact["first_name"], contact["last_name"]) == (
        "Individual",
        "Ann",
        "Okafor",
    )
    assert contact["source"].startswith("Eventbrite")
    assert look.emails(contact["id"]) == ["ann@example.org"]
    participant = look.live("11")
    assert (participant.contact, participant.status, participant.roles) == (
        contact["id"],
        "Registered",
        ["Attendee"],
    )
    assert participant.registered == "2026-02-01 05:00:00"
    assert participant.raw["fee_amount"] is None


def test_A2_somebody_known_by_a_second_email_is_nobody_new(world: World) -> None:
    ann = world.knows("Anna", "home@example.org")
    world.staff("create", "Email", None, contact_id=ann, email="ann@example.org", is_primary=False)
    one(world)
    world.settles()
    look = world.look()
    assert [row["id"] for row in look.contacts()] == [ann]
    assert look.live("11").contact == ann
    assert look.name(ann) == "Ann Okafor"
    assert look.emails(ann) == ["home@example.org", "ann@example.org"]


def test_A2_of_several_the_one_of_the_lowest_id_is_taken(world: World) -> None:
    first, second = world.knows("Ann", "ann@example.org"), world.knows("Ann", "ann@example.org")
    world.knows("Ann", "other@example.org")
    one(world)
    world.settles()
    assert first < second
    assert world.look().live("11").contact == first
    assert len(world.look().contacts()) == 3


def test_A3a_a_new_name_of_the_same_email_renames_the_contact(world: World) -> None:
    order = one(world)
    world.sync(must=0)
    before = world.look().live("11")
    order["11"].first, order["11"].last = "Anneke", "Lind"
    run = world.settles()
    look = world.look()
    assert (look.live("11").id, look.live("11").contact) == (before.id, before.contact)
    assert look.name(before.contact) == "Anneke Lind"
    assert (len(look.contacts()), len(look.participants)) == (1, 1)
    assert run.did() == {"Contact.update": 1}


def test_A3b_by_a_rule_that_looks_at_names_it_is_somebody_else(world: World) -> None:
    world.policies["dedupe_rule"] = "IndividualSupervised"
    order = one(world)
    world.sync(must=0)
    before = world.look().live("11")
    order["11"].first = "Anneke"
    world.settles()
    look = world.look()
    assert [each.id for each in look.removed("11")] == [before.id]
    assert look.live("11").contact != before.contact
    assert look.name(before.contact) == "Ann Okafor"
    assert look.name(look.live("11").contact) == "Anneke Okafor"


def test_A4_a_new_email_is_somebody_new(world: World) -> None:
    order = one(world)
    world.sync(must=0)
    before = world.look().live("11")
    world.staff("update", "Participant", before.id, fee_amount=5)
    order["11"].email = "new@example.org"
    world.settles()
    look = world.look()
    (removed,) = look.removed("11")
    assert (removed.id, removed.contact) == (before.id, before.contact)
    # All that it was stays to be seen.
    assert (removed.event, removed.roles, removed.registered) == (
        before.event,
        before.roles,
        before.registered,
    )
    assert removed.raw["fee_amount"] == 5
    assert (look.name(before.contact), look.emails(before.contact)) == ("Ann Okafor", ["ann@example.org"])
    assert look.emails(look.live("11").contact) == ["new@example.org"]
    assert (len(look.contacts()), len(look.participants)) == (2, 2)
    look.money(order, "40.00", "3.00")


def test_A4b_another_case_of_the_email_is_nobody_new(world: World) -> None:
    order = one(world, email="Ann@Example.ORG")
    world.settles()
    before = world.look().state()
    order["11"].email = "ANN@example.org"
    assert world.settles().writes == []
    assert world.look().state() == before


@pytest.mark.parametrize("policy", [None, "new"])
def test_A5_a_new_email_that_somebody_has_who_is_already_registered(world: World, policy: str | None) -> None:
    if policy:
        world.policies["new_email"] = policy
    order = one(world)
    world.sells(Order("5552", [attendee("21", "Ben")]))
    world.sync(must=0)
    before, ben = world.look().live("11"), world.look().live("21")
    order["11"].becomes(attendee("21", "Ben"))
    world.settles()
    look = world.look()
    assert [each.id for each in look.removed("11")] == [before.id]
    assert (look.live("21").id, look.live("21").contact) == (ben.id, ben.contact)
    assert (look.live("11").contact == ben.contact) is (policy != "new")
    assert len(look.contacts()) == (3 if policy == "new" else 2)
    assert look.name(before.contact) == "Ann Okafor"


@pytest.mark.parametrize("has_one_order", [True, False])
def test_A5b_two_attendees_who_swap_keep_one_live_participant_each(world: World, has_one_order: bool) -> None:
    ann, ben = attendee("11", "Ann"), attendee("12", "Ben")
    orders = [Order("5551", [ann, ben])] if has_one_order else [Order("5551", [ann]), Order("5552", [ben])]
    world.sells(*orders)
    world.sync(must=0)
    before = world.look()
    a, b = before.live("11"), before.live("12")
    ann.becomes(attendee("", "Ben"))
    ben.becomes(attendee("", "Ann"))
    world.settles()
    look = world.look()
    assert (look.live("11").contact, look.live("12").contact) == (b.contact, a.contact)
    assert [each.id for each in look.removed("11") + look.removed("12")] == [a.id, b.id]
    assert (len(look.contacts()), len(look.participants)) == (2, 4)
    assert (look.name(a.contact), look.name(b.contact)) == ("Ann Okafor", "Ben Okafor")
    for order in orders:
        look.money(order, "80.00" if has_one_order else "40.00")


def test_A6_a_participant_that_staff_deleted_comes_again(synced: World) -> None:
    before = synced.look().live("12")
    synced.staff("purge", "Participant", before.id)
    assert synced.sync(must=0).writes == []  # nothing has changed at Eventbrite: nobody looked
    synced.sync(must=0, reconcile=True)
    synced.rests()
    look = synced.look()
    assert (look.live("12").contact, look.live("12").by) == (before.contact, "11")
    assert look.live("12").id != before.id
    assert len(look.contacts()) == 3
    look.money(synced.orders["5551"], "120.00", "9.85")


def test_A6_the_primary_that_staff_deleted_comes_again_with_its_payment(synced: World) -> None:
    before = synced.look().live("11")
    synced.staff("purge", "Participant", before.id)
    synced.orders["5551"]["12"].last = "Lind"
    synced.settles()
    look = synced.look()
    assert look.live("11").contact == before.contact
    assert look.primary(synced.orders["5551"]).id == look.live("11").id != before.id
    look.money(synced.orders["5551"], "120.00", "9.85")


def test_A7_a_merged_contact_is_followed(synced: World) -> None:
    before = synced.look().live("12")
    ben = synced.knows("Benjamin", "benjamin@example.org")
    synced.merge(before.contact, ben)
    assert synced.sync(must=0).writes == []
    synced.orders["5551"]["12"].phone = "+1 212 555 0100"
    synced.settles()
    look = synced.look()
    assert (look.live("12").id, look.live("12").contact) == (before.id, ben)
    assert look.places("Phone", ben, "phone") == [("Work", "+1 212 555 0100")]
    assert look.removed("12") == []
    assert look.emails(ben) == ["benjamin@example.org", "ben@example.org"]


def test_A7_a_participant_left_with_a_merged_contact_goes_to_who_survived(synced: World) -> None:
    before = synced.look().live("12")
    ben = synced.knows("Benjamin", "benjamin@example.org")
    synced.merge(before.contact, ben)
    synced.staff("update", "Participant", before.id, contact_id=before.contact)
    synced.orders["5551"]["12"].last = "Lind"
    synced.settles()
    look = synced.look()
    assert (look.live("12").id, look.live("12").contact) == (before.id, ben)
    assert look.name(ben) == "Ben Lind"
    assert len(look.participants) == 3


def test_A7_somebody_in_the_trash_is_made_anew(synced: World) -> None:
    before = synced.look().live("12")
    synced.staff("delete", "Contact", before.contact)
    synced.orders["5551"]["12"].last = "Lind"
    synced.settles()
    look = synced.look()
    assert [each.id for each in look.removed("12")] == [before.id]
    assert look.live("12").contact != before.contact
    assert look.contact(before.contact)["is_deleted"]
    assert (look.name(before.contact), look.name(look.live("12").contact)) == ("Ben Okafor", "Ben Lind")


def test_A8_of_several_the_one_it_has_is_kept(world: World) -> None:
    lower = world.knows("Old", "old@example.org")
    order = one(world)
    world.sync(must=0)
    before = world.look().live("11")
    world.staff("create", "Email", None, contact_id=lower, email="ann@example.org")
    order["11"].last = "Lind"
    world.settles()
    look = world.look()
    assert lower < before.contact
    assert (look.live("11").id, look.live("11").contact) == (before.id, before.contact)
    assert (look.name(before.contact), look.name(lower)) == ("Ann Lind", "Old Okafor")
    assert look.removed("11") == []


def test_A9_without_an_email_a_name_is_enough_to_come(world: World) -> None:
    order = one(world, email=None)
    world.settles()
    before = world.look().live("11")
    assert world.look().name(before.contact) == "Ann Okafor"
    order["11"].phone = "+1 212 555 0100"
    world.settles()
    look = world.look()
    assert (look.live("11").id, look.live("11").contact) == (before.id, before.contact)
    assert look.places("Phone", before.contact, "phone") == [("Work", "+1 212 555 0100")]


def test_A9_without_an_email_another_name_is_somebody_else(world: World) -> None:
    order = one(world, email=None)
    world.sync(must=0)
    before = world.look().live("11")
    order["11"].first = "Zoe"
    world.settles()
    look = world.look()
    assert [each.id for each in look.removed("11")] == [before.id]
    assert look.name(look.live("11").contact) == "Zoe Okafor"
    assert look.name(before.contact) == "Ann Okafor"


def test_A9_an_email_that_is_taken_away_stays_with_the_contact(world: World) -> None:
    order = one(world)
    world.sync(must=0)
    before = world.look().live("11")
    order["11"].email = None
    world.settles()
    look = world.look()
    assert look.live("11").id == before.id
    assert look.emails(before.contact) == ["ann@example.org"]


def test_A10_the_same_person_twice_is_one_contact_and_two_participants(world: World) -> None:
    world.sells(Order("5551", [attendee("11", "Ann"), attendee("12", "Ann")]))
    world.settles()
    look = world.look()
    assert len(look.contacts()) == 1
    assert look.live("11").id != look.live("12").id
    assert look.live("11").contact == look.live("12").contact
    assert (look.live("11").by, look.live("12").by) == (None, "11")


def test_A10_one_new_email_in_two_orders_of_a_run_is_one_contact(world: World) -> None:
    world.sells(*(Order(f"60{place}", [attendee(f"1{place}", "Ann")]) for place in range(5)))
    world.sells(Order("6100", [attendee("90", "Ann", email="ANN@EXAMPLE.ORG"), attendee("91", "Ben")]))
    world.settles()
    look = world.look()
    assert sorted(row["first_name"] for row in look.contacts()) == ["Ann", "Ben"]
    assert len(look.participants) == 7


def grown(world: World) -> Order:
    """An order to which most of table A happens at once."""
    keep = world.knows("Known", "known@example.org")
    order = Order(
        "5551", [attendee(f"1{place}", name) for place, name in enumerate(("Ann", "Ben", "Cleo", "Dan"))]
    )
    order.attendees.append(attendee("14", "Known"))
    world.sells(order)
    world.sync(must=0)
    assert world.look().live("14").contact == keep
    order["10"].email = "new@example.org"  # A4, of the primary
    order["11"].becomes(attendee("", "Known"))  # A5
    order["12"].last = "Lind"  # A3
    world.staff("purge", "Participant", world.look().live("13").id)  # A6
    order.attendees.append(attendee("15", "Eve"))  # A1
    return order


def test_A11_every_rule_run_twice_writes_no_more(world: World) -> None:
    order = grown(world)
    world.settles()
    look = world.look()
    assert [len(look.removed(str(aid))) for aid in range(10, 16)] == [1, 1, 0, 0, 0, 0]
    assert {each.attendee for each in look.participants if each.status != REMOVED} == {
        str(aid) for aid in range(10, 16)
    }
    assert len(look.contacts()) == 1 + 4 + 2
    look.money(order, "240.00", "18.00")


def test_A12_a_crash_after_any_write_ends_as_an_uninterrupted_run(world: World) -> None:
    grown(world)
    assert crash_everywhere(Moment(world, "A12")) >= 10


def test_a_marked_participant_without_a_link_is_adopted(world: World) -> None:
    """As after a crash between making it and keeping its link."""
    order = one(world)
    ann = world.knows("Ann", "ann@example.org")
    (gala,) = [row["id"] for row in world.look().rows("Event") if row["title"] == "Gala"]
    values = {"contact_id": ann, "event_id": gala, "source": "Eventbrite attendee 11"}
    made = world.staff("create", "Participant", None, **values, role_id=["1"], status_id=1)
    run = world.settles()
    assert run.did("Participant")["create"] == 0
    assert world.look().live("11").id == made
    world.look().money(order, "40.00", "3.00")


def test_a_removed_participant_is_never_touched_again(world: World) -> None:
    order = one(world)
    world.sync(must=0)
    order["11"].email = "new@example.org"
    world.sync(must=0)
    (before,) = world.look().removed("11")
    world.staff("update", "Participant", before.id, fee_level=["A"])
    order["11"].is_checked_in, order["11"].last = True, "Lind"
    world.settles()
    (after,) = world.look().removed("11")
    assert after.raw == {**before.raw, "fee_level": ["A"]}
    assert world.look().live("11").status == "Attended"


def test_an_email_that_came_back_takes_a_new_participant(world: World) -> None:
    """Transferred away and back: what was removed stays removed."""
    order = one(world)
    world.sync(must=0)
    ann = world.look().live("11").contact
    order["11"].becomes(attendee("", "Ben"))
    world.sync(must=0)
    order["11"].becomes(attendee("", "Ann"))
    world.settles()
    look = world.look()
    assert look.live("11").contact == ann
    assert len(look.removed("11")) == 2
    assert len(look.contacts()) == 2
    look.money(order, "40.00", "3.00")


def test_the_rule_of_the_site_that_is_asked_can_be_chosen(world: World) -> None:
    rule = by_name(world, "first_name", "last_name")
    ann = world.knows("Ann", "elsewhere@example.org")
    world.policies["dedupe_rule"] = str(rule)
    one(world)
    world.settles()
    assert world.look().live("11").contact == ann
    # Another primary e-mail than the attendee's stays; the attendee's is added.
    assert world.look().emails(ann) == ["elsewhere@example.org", "ann@example.org"]


def test_another_primary_email_may_be_replaced(world: World) -> None:
    by_name(world, "first_name", "last_name")
    ann = world.knows("Ann", "elsewhere@example.org")
    world.policies |= {"dedupe_rule": "Names", "other_primary_email": "replace"}
    one(world)
    world.settles()
    assert world.look().emails(ann)[0] == "ann@example.org"


def test_the_rule_of_the_event_can_be_asked(world: World) -> None:
    rule = by_name(world, "first_name", "last_name")
    (gala,) = [row["id"] for row in world.look().rows("Event") if row["title"] == "Gala"]
    world.staff("update", "Event", gala, dedupe_rule_group_id=rule)
    ann = world.knows("Ann", "elsewhere@example.org")
    world.policies["dedupe_rule"] = "event"
    one(world)
    world.sells(Order("5552", [attendee("21", "Ann")], event="Recital"))  # has none of its own
    world.settles()
    assert world.look().live("11").contact == ann


def test_writes_of_an_order_come_in_ascending_ids_and_its_money_last(world: World) -> None:
    """O1, and numbers compare as numbers."""
    order = Order(
        "5551", [attendee(key, name) for key, name in (("9", "Ann"), ("10", "Ben"), ("101", "Cleo"))]
    )
    order.attendees.reverse()
    world.sells(order)
    run = world.settles()
    made = [
        call["params"]["values"]["source"].rpartition(" ")[2]
        for call in run.calls
        if is_write(call) and (call["entity"], call["action"]) == ("Participant", "create")
    ]
    assert made == ["9", "10", "101"]
    assert world.look().primary(order).attendee == "9"
    money = [each for each in run.writes if each[0] in ("Contribution", "ParticipantPayment")]
    assert run.writes[-2:] == money == [("Contribution", "create"), ("ParticipantPayment", "create")]


@pytest.mark.parametrize("has_one_order", [True, False])
def test_A11_a_family_of_one_email_comes_to_rest(world: World, has_one_order: bool) -> None:
    """One contact cannot have all their names; whichever it has, nothing goes back and forth."""
    family = [
        attendee(str(place), name, email="us@example.org")
        for place, name in enumerate(("Ann", "Ben", "Cleo"))
    ]
    orders = [Order("5551", family)] if has_one_order else [Order(f"60{it.id}", [it]) for it in family]
    world.sells(*orders)
    world.settles()
    look = world.look()
    (contact,) = look.contacts()
    assert contact["first_name"] in ("Ann", "Ben", "Cleo")
    assert [each.contact for each in look.participants] == [contact["id"]] * 3
    family[1].is_checked_in = True
    world.settles()
    assert world.look().contact(contact["id"])["first_name"] in ("Ann", "Ben", "Cleo")


def test_a_registration_that_staff_made_stays_theirs(world: World) -> None:
    """The same person, the same event: the key is the ticket, never the pair."""
    ann = world.knows("Ann", "ann@example.org")
    (gala,) = [row["id"] for row in world.look().rows("Event") if row["title"] == "Gala"]
    values = {"contact_id": ann, "event_id": gala, "role_id": ["3"], "status_id": 1, "source": "By phone"}
    made = world.staff("create", "Participant", None, **values)
    (before,) = [each.raw for each in world.look().participants]
    order = one(world)
    world.settles()
    order["11"].status = "cancelled"
    world.settles()
    look = world.look()
    assert [each.raw for each in look.participants if each.id == made] == [before]
    assert (look.live("11").contact, look.live("11").status) == (ann, "Cancelled")


def test_A2_who_was_registered_by_hand_before_is_told(world: World) -> None:
    """Nothing says whose ticket that one was: there are two then, and the plan says so."""
    (gala,) = [row["id"] for row in world.look().rows("Event") if row["title"] == "Gala"]
    for name in ("Ann", "Ben", "Cleo", "Eve"):
        contact = world.knows(name, f"{name.lower()}@example.org")
        status = "Cancelled" if name == "Cleo" else "Registered"
        world.staff(
            "create", "Participant", None, contact_id=contact, event_id=gala, **{"status_id:name": status}
        )
    world.sells(party())
    said = "2 people are registered for Gala already"
    assert said in world.plan(must=0).words
    assert said in world.sync(must=0).words
    assert len(world.look().participants) == 7
    world.orders["5551"]["11"].is_checked_in = True
    assert "registered for" not in world.settles().words
