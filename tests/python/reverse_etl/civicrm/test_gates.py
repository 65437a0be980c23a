"""Table G: what is written at all."""

import pytest
import yaml

from boxoffice.settings import ROOT
from tests.python.reverse_etl.civicrm.conftest import (
    ATTENDEES,
    ORDERS,
    Attendee,
    World,
    attendee,
    party,
)


def test_G1_an_order_of_no_mapped_event_is_not_looked_at(world: World) -> None:
    run = world.sync(must=0)
    assert run.writes == []
    assert world.look().contacts() == []


def test_G1_an_order_whose_event_is_mapped_no_more_stays_as_it_is(synced: World) -> None:
    before = synced.look().state()
    order = synced.orders.pop("5551")
    assert synced.sync(must=0).writes == []
    assert synced.sync(must=0, reconcile=True).writes == []
    assert synced.look().state() == before
    # Mapped again, it goes on where it was.
    order["12"].email = "bea@example.org"
    synced.sells(order)
    synced.settles()
    assert len(synced.look().removed("12")) == 1


def test_G2_a_ticket_class_without_a_role_is_skipped_and_told(world: World) -> None:
    order = party()
    order["12"].role, order["12"].ticket_class = None, "Backstage"
    world.sells(order)
    run = world.settles()
    assert "Backstage" in run.words
    assert {each.attendee for each in world.look().participants} == {"11", "13"}
    assert len(world.look().contacts()) == 2
    # Mapped later, it comes.
    order["12"].role = "Volunteer"
    world.settles()
    assert world.look().live("12").roles == ["Volunteer"]
    assert world.look().live("12").by == "11"


def test_G2_roles_are_named_or_numbered(world: World) -> None:
    order = party()
    order["11"].role, order["12"].role, order["13"].role = "Speaker", "4", "Host"
    world.sells(order)
    world.settles()
    look = world.look()
    assert [look.live(each).roles for each in ("11", "12", "13")] == [["Speaker"], ["Speaker"], ["Host"]]


def test_G2_a_role_that_the_site_does_not_have_never_clears_one(synced: World) -> None:
    synced.orders["5551"]["12"].role = "Juggler"
    run = synced.sync(must=1)
    assert "Juggler" in run.words
    assert synced.look().live("12").roles == ["Attendee"]


@pytest.mark.parametrize("forgets", [False, True])
def test_G2_who_is_there_keeps_the_role_that_the_mapping_has_no_more(synced: World, forgets: bool) -> None:
    order, before = synced.orders["5551"], synced.look().state()
    order["12"].role = None
    if forgets:
        synced.forgets()
    run = synced.settles()
    assert run.writes == []
    assert "General" in run.words
    assert synced.look().state() == before
    # Status and money go on, and a ticket that changes hands keeps its role.
    order["12"].is_checked_in, order["13"].status, order["13"].gross = True, "refunded", 0
    order["12"].becomes(attendee("", "Zoe"))
    synced.settles()
    look = synced.look()
    assert (look.live("12").status, look.live("12").roles) == ("Attended", ["Attendee"])
    assert len(look.removed("12")) == 1
    look.money(order, "80.00")


def test_G4_an_older_copy_than_the_one_applied_is_skipped_and_told(synced: World) -> None:
    order = synced.orders["5551"]
    order["12"].email, order.changed = "old@example.org", "2026-01-15 10:00:00"
    assert synced.sync(must=1).writes == []
    assert synced.rejected() == {"5551": "G4"}
    assert synced.look().removed("12") == []
    order.changed = None
    synced.settles()
    assert synced.rejected() == {}
    assert len(synced.look().removed("12")) == 1


def test_G5_an_attendee_that_Eventbrite_lists_no_more_is_removed(synced: World) -> None:
    gone = synced.orders["5551"]["12"]
    gone.is_gone, gone.status, gone.gross = True, "deleted", 0
    synced.settles()
    (removed,) = synced.look().removed("12")
    assert (removed.by, removed.raw["registered_by_id"]) == (None, None)
    assert synced.look().status("11", "13") == ["Registered", "Registered"]


@pytest.mark.parametrize("held", ["11", "12"])
def test_G6_an_attendee_without_name_and_email_waits_for_them(world: World, held: str) -> None:
    order = party()
    one: Attendee = order[held]
    profile = (one.first, one.last, one.email)
    one.first = one.last = one.email = None
    world.sells(order)
    run = world.settles()
    assert held in run.words or "data" in run.words.lower()
    look = world.look()
    assert {each.attendee for each in look.participants} == {"11", "12", "13"} - {held}
    assert len(look.contacts()) == 2
    first = look.primary(order).attendee
    assert look.contributions["5551"].total == "120.00"
    one.first, one.last, one.email = profile
    world.settles()
    look = world.look()
    assert look.live(held).status == "Registered"
    assert look.primary(order).attendee == first  # once chosen it stays
    look.money(order, "120.00", "9.85")


def test_G6_an_order_of_nobody_known_waits(world: World) -> None:
    order = party()
    for each in order.attendees:
        each.first = each.last = each.email = None
    world.sells(order)
    assert world.settles().did() == {}
    order.attendees[0].becomes(attendee("11"))
    world.settles()
    assert [each.attendee for each in world.look().participants] == ["11"]


@pytest.mark.parametrize("trouble", ["missing", "template", "inactive", "twice"])
def test_G7_an_order_of_an_event_that_cannot_be_used_is_parked(world: World, trouble: str) -> None:
    if trouble != "missing":
        more = {"template": {"is_template": True}, "inactive": {"is_active": False}}.get(trouble, {})
        values = {"title": "Encore", "event_type_id": 5, "start_date": "2026-04-01 20:00:00", **more}
        encore = world.staff("create", "Event", None, **values)
        if trouble == "twice":
            world.staff("create", "Event", None, **values)
    world.sells(party("7001", event="Encore"), party("7002"))
    run = world.sync(must=1)
    assert "Encore" in run.words
    look = world.look()
    # The other order went; nobody of this one did.
    assert set(look.contributions) == {"7002"}
    assert {each.event for each in look.participants} == {look.live("11").event}
    assert world.rejected()["7001"] == "G7"
    if trouble == "missing":
        encore = world.staff(
            "create", "Event", None, title="Encore", event_type_id=5, start_date="2026-04-01"
        )
    elif trouble == "twice":
        (other,) = [it["id"] for it in look.rows("Event") if it["title"] == "Encore" and it["id"] != encore]
        world.staff("update", "Event", other, title="Encore, second night")
    else:
        world.staff("update", "Event", encore, is_template=False, is_active=True)
    world.sync(must=0)
    assert sum(each.event == encore for each in world.look().participants) == 3
    assert world.rejected() == {}


def test_G7_events_are_named_or_numbered(world: World) -> None:
    (gala,) = [row["id"] for row in world.look().rows("Event") if row["title"] == "Gala"]
    order = party(event=str(gala))
    world.sells(order)
    world.settles()
    assert world.look().live("11").event == gala


def test_the_tables_are_those_of_the_models() -> None:
    """What is filled in by hand here has the columns and types of the models' contracts."""
    types = {"string": "varchar", "int": "integer"}
    for thing, columns in (("orders", ORDERS), ("attendees", ATTENDEES)):
        text = (ROOT / "models" / "sync" / f"sync_civicrm__{thing}.yml").read_text()
        (model,) = yaml.safe_load(text)["models"]
        said = {each["name"]: types.get(each["data_type"], each["data_type"]) for each in model["columns"]}
        assert said == columns
