"""What a run does when the site tells less than it should, and what it keeps and counts meanwhile."""

from collections.abc import Sequence
from typing import Any

import pytest

from reverse_etl.civicrm_api import Ask, Refused, Site
from reverse_etl.civicrm_state import Write
from reverse_etl.civicrm_sync import Outcome
from reverse_etl.show import MOST_CHANGES
from sandbox.civicrm.app import ADMIN_KEY, KEY, PERMISSIONS
from tests.python.reverse_etl.civicrm.conftest import Killed, Order, World, attendee, killed


def will_not_tell(monkeypatch: pytest.MonkeyPatch, action: str, about: str) -> None:
    """The site refuses one person's reads."""
    asked = Site.ask

    def ask(site: Site, calls: Sequence[Ask]) -> list[Any]:
        found = asked(site, calls)
        for place, each in enumerate(calls):
            if each.action == action and about in str(each.params):
                found[place] = Refused("refused", "The site refuses to give Contact.", "Look there.")
        return found

    monkeypatch.setattr(Site, "ask", ask)


@pytest.mark.parametrize("writes", [True, False])
def test_whom_the_site_does_not_look_for_stops_nobody_else(
    world: World, monkeypatch: pytest.MonkeyPatch, writes: bool
) -> None:
    will_not_tell(monkeypatch, "getDuplicates", "ben@example.org")
    world.sells(Order("1", [attendee("11", "Ann")]), Order("2", [attendee("21", "Ben")]))
    world.sells(Order("3", [attendee("31", "Cleo")]))
    run = world.sync(must=1, writes=writes)
    assert [(each["key"], each["rule"]) for each in run.document["civicrm"]["refused"]] == [("2", "A")]
    assert {each["order_id"] for each in run.document["civicrm"]["plan"]} == {"1", "3"}
    if writes:
        assert world.rejected() == {"2": "A"}
        monkeypatch.undo()
        monkeypatch.setitem(Site.__init__.__kwdefaults__, "sleep", lambda seconds: None)
        world.settles()
        assert world.rejected() == {}
        assert world.look().live("21")


def test_whose_merger_the_site_does_not_tell_stops_nobody_else(
    synced: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = synced.look().live("11").contact
    synced.staff("update", "Contact", ann, is_deleted=True)
    will_not_tell(monkeypatch, "getMergedTo", f"{ann}")
    synced.orders["5551"]["11"].is_checked_in = True
    synced.sells(Order("2", [attendee("21", "Dora")]))
    synced.sync(must=1)
    assert synced.rejected() == {"5551": "A"}
    assert synced.look().live("21")


def test_an_event_with_a_rule_for_others_stops_no_other_event(world: World) -> None:
    rule = world.staff(
        "create", "DedupeRuleGroup", None, contact_type="Organization", threshold=10, used="General"
    )
    (gala,) = [row["id"] for row in world.look().rows("Event") if row["title"] == "Gala"]
    world.staff("update", "Event", gala, dedupe_rule_group_id=rule)
    world.policies["dedupe_rule"] = "event"
    world.sells(Order("1", [attendee("11", "Ann")]))
    world.sells(Order("2", [attendee("21", "Ben")], event="Recital"))
    world.sync(must=1)
    assert world.rejected() == {"1": "A"}
    assert world.look().live("21")


@pytest.mark.parametrize("orders", [1, 12])
def test_a_rule_that_looks_for_nobody_is_said_once(world: World, orders: int) -> None:
    world.policies["dedupe_rule"] = "Nobody"
    world.sells(*(Order(f"{place}", [attendee(f"{place}1", f"A{place}")]) for place in range(1, 1 + orders)))
    run = world.sync(must=1)
    assert (run.writes, world.rejected()) == ([], {})
    assert "dedupe_rule" in run.words


def may_not(world: World, *withdrawn: str) -> None:
    """The API user loses permissions."""
    kept = [each for each in PERMISSIONS if each not in withdrawn]
    world.switch(keys={KEY: {"contact": 2, "permissions": kept}, ADMIN_KEY: {"permissions": None}})


@pytest.mark.parametrize("writes", [True, False])
def test_who_may_see_nobody_makes_nobody_twice(synced: World, writes: bool) -> None:
    """Of contacts that may not be seen, and of all that is theirs, answers are empty and no errors."""
    may_not(synced, "view all contacts")
    synced.orders["5551"]["11"].is_checked_in = True
    synced.sells(Order("2", [attendee("21", "Dora")]))
    run = synced.sync(must=1, writes=writes)
    assert (run.writes, run.document["civicrm"]["plan"]) == ([], [])
    assert "`view all contacts`" in run.words
    may_not(synced)
    synced.settles()
    look = synced.look()
    assert len(look.participants) == len(look.contacts()) == 4


def hides(monkeypatch: pytest.MonkeyPatch, entity: str, shown: int) -> None:
    """An access rule lets only some records be seen."""
    asked = Site.ask

    def ask(site: Site, calls: Sequence[Ask]) -> list[Any]:
        found = asked(site, calls)
        of = [each.entity for each in calls]
        return [rows[:shown] if name == entity else rows for name, rows in zip(of, found, strict=True)]

    monkeypatch.setattr(Site, "ask", ask)


@pytest.mark.parametrize("entity", ["Participant", "Contact"])
def test_who_sees_few_of_what_was_written_writes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, entity: str
) -> None:
    world.sells(*(Order(f"{each}", [attendee(f"{each}1", f"A{each}")]) for each in range(1, 7)))
    world.sync(must=0)
    world.orders["1"]["11"].is_checked_in = True
    hides(monkeypatch, entity, 2)
    run = world.sync(must=1)
    assert run.writes == []
    assert "Of 6" in run.words
    assert "sees 2" in run.words
    assert len(world.look().contacts()) == 6


def test_all_that_was_deleted_on_purpose_is_written_again_when_asked(world: World) -> None:
    world.sells(*(Order(f"{each}", [attendee(f"{each}1", f"A{each}")]) for each in range(1, 7)))
    world.sync(must=0)
    for each in world.look().participants:
        world.staff("delete", "Participant", each.id)
    world.orders["1"]["11"].is_checked_in = True
    assert "--reconcile" in world.sync(must=1).words
    world.sync(must=0, reconcile=True)
    assert len(world.look().participants) == 6


def test_a_status_that_was_not_made_after_all_is_made_by_the_next_order(world: World) -> None:
    pairs = [
        Order(f"{each}", [attendee(f"{each}1", f"A{each}"), attendee(f"{each}2", f"B{each}")])
        for each in (1, 2)
    ]
    world.sells(*pairs)
    world.sync(must=0)
    for pair in pairs:
        pair.attendees[1].is_gone, pair.attendees[1].gross = True, 0
    body = {"error_code": 0, "error_message": "Something is wrong with it."}
    world.fault("answer", path="Contribution/update$", times=1, status=200, body=body)
    world.sync(must=1)
    assert world.rejected() == {"1": "C5"}
    assert len(world.look().removed("22")) == 1
    world.settles()
    assert len(world.look().removed("12")) == 1


def test_of_very_many_writes_only_what_is_shown_is_kept_whole() -> None:
    outcome = Outcome()
    for number in range(MOST_CHANGES + 5):
        outcome.add("1", Write("A1", "Contact", "create", f"{number}", {"first_name": "Ann"}))
    assert [len(outcome.writes), len(outcome.shown)] == [MOST_CHANGES + 5, MOST_CHANGES]
    assert outcome.rules == {("A1", "Contact", "create"): MOST_CHANGES + 5}
    assert all("Ann" not in each.values() for each in outcome.writes)


def test_a_large_party_of_one_address_at_an_event_without_a_rule_of_its_own(world: World) -> None:
    """The rule is the stock one then: by e-mail alone they are one person."""
    people = [attendee(f"1{place:02}", f"N{place}", email="all@example.org") for place in range(25)]
    world.policies["dedupe_rule"] = "event"
    world.sells(Order("1", people))
    run = world.sync(must=0)
    assert len(world.look().contacts()) == 1
    assert len(run.calls) - len(run.writes) < 20, "it is foreseen"


def test_a_large_party_whose_site_sees_more_than_is_foreseen(world: World) -> None:
    """Each new contact makes the site be asked again, which is no quarrel."""
    rule = world.staff(
        "create", "DedupeRuleGroup", None, contact_type="Individual", threshold=5, used="General"
    )
    world.staff("update", "DedupeRuleGroup", rule, name="Last", title="Last")
    values = {"dedupe_rule_group_id": rule, "rule_table": "civicrm_contact", "rule_field": "first_name"}
    world.staff("create", "DedupeRule", None, **values, rule_weight=5)
    world.policies["dedupe_rule"] = "Last"
    people = [attendee(f"1{place:02}", f"N{place}", email="all@example.org") for place in range(25)]
    world.sells(Order("1", people))
    world.sync(must=0)
    assert len(world.look().contacts()) == 25


def test_a_contribution_that_cannot_be_seen_is_told_as_that(
    synced: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced.orders["5551"]["11"].is_checked_in = True
    hides(monkeypatch, "Contribution", 0)
    run = synced.sync(must=1)
    assert synced.rejected() == {"5551": "C13"}
    assert "cannot see it" in run.words
    assert len(synced.look().contributions) == 1


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_copy_that_staff_made_is_not_taken_for_a_lost_answer(synced: World, is_gone: bool) -> None:
    """Its source was copied along, while a run was killed."""
    gala = synced.look().live("11").event
    somebody = synced.knows("Guest", "guest@example.org")
    values = {"contact_id": somebody, "event_id": gala, "status_id": 1, "role_id": ["1"]}
    copy = synced.staff("create", "Participant", None, **values, source="Eventbrite attendee 12")
    synced.orders["5551"]["12"].becomes(attendee("", "Dora"))
    with pytest.raises(Killed), killed(1, "before"):
        synced.sync()
    (intent,) = synced.ops("select table_name, operation from journal where state = 'sent'")
    assert intent == ("Participant", "create")
    synced.orders["5551"]["12"].is_gone = is_gone
    synced.sync(must=0)
    look = synced.look()
    (kept,) = [each for each in look.participants if each.id == copy]
    assert (kept.status, kept.contact) == ("Registered", somebody)
    if not is_gone:
        assert [look.name(each.contact) for each in look.participants if each.attendee == "12"].count(
            "Dora Okafor"
        ) == 1
