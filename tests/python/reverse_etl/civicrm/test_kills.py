"""Killed at any write, or left without an answer: what follows ends where an uninterrupted run does."""

import os
from typing import Any

import pytest

from tests.python.reverse_etl.civicrm.conftest import (
    WRITING,
    Killed,
    Moment,
    Run,
    World,
    attendee,
    die,
    killed,
)
from tests.python.reverse_etl.civicrm.mixed import (
    crash_everywhere,
    half_way,
    small,
    uninterrupted,
    until_well,
)

# What may become of a write's answer, and whether the write was done.
LOST: dict[str, tuple[str, dict[str, Any]]] = {
    "drop": ("drop", {}),
    "apply then drop": ("apply_then_drop", {}),
    "cut": ("cut", {}),
    "truncated": ("truncated", {}),
    "500": ("server_error", {}),
    "500, done": ("server_error", {"applied": True}),
    "502": ("bad_gateway", {}),
    "502, done": ("bad_gateway", {"applied": True}),
    "login page": ("login_page", {}),
    "login page, done": ("login_page", {"applied": True}),
    "maintenance": ("maintenance", {}),
    "deadlock": ("deadlock", {}),
    "empty": ("answer", {"status": 200, "body": ""}),
    "empty, done": ("answer", {"status": 200, "body": "", "applied": True}),
    "nonsense, done": ("answer", {"status": 200, "body": {"odd": 1}, "applied": True}),
}


def test_killed_at_every_write(world: World) -> None:
    moment = half_way(world)
    _, calm = uninterrupted(moment)
    kinds = set(calm.writes)
    assert {
        (name, does) for name in ("Contact", "Participant", "Contribution") for does in ("create", "update")
    } <= kinds
    assert ("ParticipantPayment", "create") in kinds
    assert {"Phone", "Address"} <= {name for name, _ in kinds}
    assert crash_everywhere(moment) >= 25


@pytest.mark.slow
def test_killed_before_and_after_every_write(world: World) -> None:
    assert crash_everywhere(half_way(world), whole=True) >= 25


@pytest.mark.slow
@pytest.mark.parametrize(
    "policies",
    [
        {"new_email": "new"},
        {"unpaid": "pending"},
        {"refunds": "ledger"},
        {"dedupe_rule": "IndividualSupervised"},
    ],
    ids=str,
)
def test_killed_at_every_write_with_other_policies(world: World, policies: dict[str, str]) -> None:
    world.policies = policies
    crash_everywhere(half_way(world), whole=True)


@pytest.mark.slow
def test_killed_at_every_read(world: World) -> None:
    moment = half_way(world)
    wanted, calm = uninterrupted(moment)
    for at in range(len(calm.calls)):
        world = moment.again()
        with killed(at, "after", reads=True), pytest.raises(Killed):
            world.sync()
        world.sync(must=0)
        assert world.look().state() == wanted, at


@pytest.mark.parametrize("start", [pytest.param("from nothing", marks=pytest.mark.slow), "half way"])
def test_killed_again_and_again(world: World, start: str) -> None:
    """Each run gets a few writes further."""
    moment = half_way(world)
    if start == "from nothing":
        world.stand_in.call("POST", "/snapshots/events")
        world.forgets()
        moment = Moment(world, "nothing")
    wanted, calm = uninterrupted(moment)
    world = moment.again()
    for _ in range(len(calm.writes)):
        with killed(3, "after"):
            try:
                world.sync()
                break
            except Killed:
                continue
    assert world.sync(must=0).writes == []
    assert world.look().state() == wanted


OFTEN = [(1, "after"), (4, "before")]
RARE = [(1, "before"), (4, "after"), (7, "before"), (7, "after")]


@pytest.mark.parametrize(
    ("place", "when"), OFTEN + [pytest.param(*it, marks=pytest.mark.slow) for it in RARE]
)
def test_a_process_that_is_really_killed(world: World, place: int, when: str) -> None:
    moment = small(world)
    wanted, _ = uninterrupted(moment)
    world = moment.again()
    child = os.fork()
    if child == 0:
        try:
            with killed(place, when, die):
                world.sync()
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == 9
    world.sync(must=0)
    assert world.look().state() == wanted
    assert world.sync(must=0).writes == []


@pytest.mark.parametrize("policy", ["existing", "new"])
@pytest.mark.parametrize("place", [0, 1])
def test_killed_between_two_transfers(synced: World, place: int, policy: str) -> None:
    """Of the first nobody remembers how far it went."""
    synced.policies["new_email"] = policy
    one = synced.orders["5551"]["12"]
    one.becomes(attendee("", "Dan"))
    with killed(place, "after"), pytest.raises(Killed):
        synced.sync()
    one.becomes(attendee("", "Eve"))
    synced.settles()
    look = synced.look()
    assert look.name(look.live("12").contact) == "Eve Okafor"
    assert len(look.removed("12")) == 1 + place
    look.money(synced.orders["5551"], "120.00", "9.85")


def at_each_kind(calm: Run) -> list[int]:
    """The first write of each kind."""
    return [calm.writes.index(kind) for kind in dict.fromkeys(calm.writes)]


def test_without_an_answer_to_each_kind_of_write(world: World) -> None:
    moment = half_way(world)
    wanted, calm = uninterrupted(moment)
    ways = ("apply then drop", "cut", "login page, done", "500, done")
    for turn, at in enumerate(at_each_kind(calm)):
        lose(moment, wanted, ways[turn % 4], at)


def lose(moment: Moment, wanted: dict[str, Any], lost: str, at: int) -> None:
    world = moment.again()
    do, details = LOST[lost]
    world.fault(do, path=WRITING, after=at, times=1, **details)
    until_well(world)
    assert world.look().state() == wanted, (lost, at)
    assert world.ops("select count(*) from journal where state = 'sent'") == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize("lost", LOST)
def test_without_an_answer_to_any_write(world: World, lost: str) -> None:
    moment = half_way(world)
    wanted, calm = uninterrupted(moment)
    for at in range(len(calm.writes)):
        lose(moment, wanted, lost, at)


def test_without_an_answer_to_one_write_in_all_ways(world: World) -> None:
    moment = small(world)
    wanted, calm = uninterrupted(moment)
    for turn, lost in enumerate(LOST):
        entity = ("Participant", "Contact", "ParticipantPayment")[turn % 3]
        lose(moment, wanted, lost, calm.writes.index((entity, "create")))


def test_a_lost_answer_and_a_lost_ops_file(world: World) -> None:
    """What was made is known to nobody but the site."""
    moment = small(world)
    wanted, calm = uninterrupted(moment)
    for at, (entity, action) in enumerate(calm.writes):
        if action != "create" or entity == "Contact":  # a contact without an e-mail cannot be found again
            continue
        world = moment.again()
        with killed(at, "after"), pytest.raises(Killed):
            world.sync()
        world.forgets()
        until_well(world)
        assert world.look().state() == wanted, (at, entity)


def test_what_lands_after_its_answer_was_lost_is_not_made_twice(world: World) -> None:
    """The site is still at work when the connection ends."""
    moment = small(world)
    wanted, calm = uninterrupted(moment)
    world = moment.again()
    world.fault("cut", path="Participant/create$", times=1)
    world.sync()
    until_well(world)
    assert world.look().state() == wanted
    assert calm.writes
