"""A run in which everything happens, and what it takes to end it at every write."""

from typing import Any

import pytest

from tests.python.reverse_etl.civicrm.conftest import (
    Killed,
    Moment,
    Order,
    Run,
    World,
    attendee,
    killed,
    party,
)

PIER = ("9 Pier Rd", None, "Boston", "MA", "02110", "US")


def half_way(world: World) -> Moment:
    """A site and an ops file in step, and orders that have moved on since."""
    world.sells(
        party("5551"),
        Order("5552", [attendee("21", "Dan"), attendee("22", "Eve")]),
        Order("5553", [attendee("31", "Flo"), attendee("32", "Gus")]).unpaid(),
        Order("5554", [attendee("41", "Hal")]),
    )
    world.knows("Ivy", "ivy@example.org")
    world.sync(must=0)
    first, second, third, fourth = world.orders.values()
    first.refund("12")
    first["11"].becomes(attendee("", "Jo"))  # A4 of the primary
    first["13"].last, first["13"].phone = "Lind", "+1 212 555 0100"
    one = second["21"]  # O8
    one.is_gone, one.status, one.gross, one.fees = True, "deleted", 0, 0
    second.attendees.append(attendee("23", "Ivy", address=PIER))
    third.paid()
    fourth.refund()
    world.sells(
        Order(
            "5555", [attendee("51", "Kim", address=PIER, phone="1"), attendee("52", "Jo", is_checked_in=True)]
        ),
        Order("5556", [attendee("61", "Lou", email=None, gross=0, fees=0)]),
    )
    return Moment(world, "half_way")


def small(world: World) -> Moment:
    """The same in a few writes."""
    world.sells(party())
    world.sync(must=0)
    order = world.orders["5551"]
    order.refund("12")
    order["11"].becomes(attendee("", "Jo"))
    order["13"].last = "Lind"
    world.sells(Order("5552", [attendee("21", "Dan", email=None, phone="1", address=PIER)]))
    return Moment(world, "small")


def until_well(world: World, most: int = 3) -> Run:
    for _ in range(most):
        run = world.sync()
        if run.exit_code == 0:
            return run
    raise AssertionError(run.words)


def uninterrupted(moment: Moment) -> tuple[dict[str, Any], Run]:
    """The state that a run ends in which nothing disturbs."""
    run = moment.again().sync(must=0)
    return moment.world.look().state(), run


def crash_everywhere(moment: Moment, *, whole: bool = False) -> int:
    """Kills a run at every write, and starts it again. Gives the number of writes.

    Args:
        whole: before and after each; else by turns, before one and after the next.
    """
    wanted, calm = uninterrupted(moment)
    for at in range(len(calm.writes)):
        for when in ("before", "after") if whole else (("before", "after")[at % 2],):
            world = moment.again()
            with killed(at, when), pytest.raises(Killed):
                world.sync()
            done = len([call for call in world.calls() if call.get("written")])
            run = world.sync(must=0)
            assert world.look().state() == wanted, (at, when, calm.writes[at])
            # What the killed run did is not done again.
            again = len([call for call in run.calls if call.get("written")])
            assert done + again <= len(calm.writes) + 1, (at, when, calm.writes[at])
            if at % 4 == 0 or whole:
                assert world.sync(must=0).writes == [], (at, when)
            assert world.ops("select count(*) from journal where state = 'sent'") == [(0,)]
    return len(calm.writes)
