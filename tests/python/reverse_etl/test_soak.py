"""Days of random changes, people's hands, faults and kills: in the end the base holds what the models say."""

import random
from contextlib import suppress
from typing import Any

import pytest

from boxoffice.airtable_api import Client
from boxoffice.errors import BoxofficeError
from tests.python.reverse_etl.conftest import World
from tests.python.reverse_etl.test_kills import Killed, killing

NAMES = ["Marble House", "Signal Yard", "The Pier", "Old Mill", "Lantern Hall", "Cave 7"]
FAULTS = ["drop", "apply_then_drop", "server_error", "unavailable", "cut", "not_json", "rate_limit"]


class Days:
    """What the models say, and what is done to the base."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.random = world, random.Random(seed)
        self.venues: dict[str, tuple[Any, ...]] = {}
        self.events: dict[str, tuple[Any, ...]] = {}
        self.sales: dict[str, tuple[Any, ...]] = {}
        world.policies = {"on_edit": "overwrite"}
        self.put()
        world.sync(bootstraps=True)

    def put(self) -> None:
        self.world.has("venues", *self.venues.values())
        self.world.has("events", *self.events.values())
        self.world.has("sales", *self.sales.values())

    def change_models(self) -> None:
        draw = self.random
        for place, name in enumerate(NAMES):
            if draw.random() < 0.4:
                self.venues[f"v{place}"] = (
                    f"v{place}",
                    name,
                    draw.choice(["Oslo", None]),
                    draw.randrange(9) or None,
                )
        for place in draw.sample(range(40), 15):
            venue = draw.choice([None, *self.venues, "v-none"])
            starts = draw.choice([None, "2027-03-05 19:00:00"])
            status = draw.choice(["live", "ended", None, "odd"])
            self.events[f"e{place}"] = (
                f"e{place}",
                f"Event {place}",
                venue,
                status,
                starts,
                draw.randrange(5),
                None,
                None,
            )
        for place in draw.sample(range(60), 20):
            self.sales[f"s{place}"] = (
                f"s{place}",
                draw.choice([*self.events]),
                f"Buyer {draw.randrange(3)}",
                None,
            )
        self.put()

    def by_hand(self) -> None:
        draw, world = self.random, self.world
        for _ in range(draw.randrange(4)):
            table = draw.choice(["Venues", "Events", "Sales"])
            records = world.records(table)
            record = draw.choice([*records]) if records else None
            match draw.choice(["edit", "delete", "create"]):
                case "create" if table == "Venues":
                    world.by_hand(
                        "create", table, fields={"Venue": draw.choice(NAMES).upper(), "Capacity": 5}
                    )
                case "create":
                    world.by_hand(
                        "create", table, fields={{"Events": "Event", "Sales": "Buyer"}[table]: "Theirs"}
                    )
                case "edit" if record and table == "Events":
                    world.by_hand("edit", table, record=record, fields={"Tickets sold": 77})
                case "delete" if record and "boxoffice key" in records[record]:
                    world.by_hand("delete", table, record=record)

    def run(self) -> None:
        draw, world = self.random, self.world
        world.client_of = Client
        match draw.choice(["kill", "fault", "lose", "calm"]):
            case "kill":
                world.client_of = killing(draw.randrange(12), draw.choice(["before", "after"]))
            case "fault":
                for _ in range(3):
                    world.fault(draw.choice(FAULTS), after=draw.randrange(12), times=1)
            case "lose":
                for each in world.folder.glob("ops.sqlite*"):
                    each.unlink()
        with suppress(Killed, BoxofficeError):
            world.sync()
        world.client_of = Client
        world.stand_in.call("DELETE", "/airtable/faults")

    def wanted(self, held: dict[str, dict[str, Any]]) -> dict[str, dict[str, tuple[Any, ...]]]:
        """Cells by key of what the base must hold; rows that must be refused are not there.

        Args:
            held: what it holds, by table and key: rows link to those.
        """
        ambiguous = self.venues.keys() - held["Venues"].keys()
        rejected = self.world.rejected()
        assert all(rejected[key][1:] == ("ambiguous", 0) for key in ambiguous)
        return {
            "Events": {
                key: (row[1], [row[2]] if row[2] else None, row[3], row[5])
                for key, row in self.events.items()
                if row[2] not in ("v-none", *ambiguous) and row[3] != "odd"
            },
            "Sales": {key: (row[2], [row[1]]) for key, row in self.sales.items() if row[1] in held["Events"]},
        }


CELLS = {
    "Venues": ("Venue",),
    "Events": ("Event", "Venue", "Status", "Tickets sold"),
    "Sales": ("Buyer", "Event"),
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_days_of_trouble(world: World, seed: int) -> None:
    days = Days(world, seed)
    for _ in range(6):
        days.change_models()
        days.by_hand()
        days.run()
    world.sync(reconciles=True)
    world.sync(reconciles=True)
    world.sync()
    assert world.writes == 0
    held: dict[str, dict[str, Any]] = {}
    for table, names in CELLS.items():
        held[table] = {}
        for cells in world.records(table).values():
            key = cells.get("boxoffice key")
            if key is None:
                assert table == "Venues" or "Theirs" in cells.values(), "a row of theirs was touched"
                continue
            assert key not in held[table], f"{key} twice in {table}"
            held[table][key] = tuple(cells.get(name) for name in names)
    for table, rows in days.wanted(held).items():
        assert {key: held[table].get(key) for key in rows} == rows
