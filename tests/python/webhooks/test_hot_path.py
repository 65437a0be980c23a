"""From notices to the CRM: the worker at work on the real models, against the stand-ins over HTTP."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import pytest
import requests

from boxoffice import airtable_api, eventbrite_api
from boxoffice import settings as settings_module
from boxoffice.__main__ import Hot
from boxoffice.settings import ROOT
from reverse_etl import civicrm_api
from tests.python.boxoffice.conftest import environment, process_environment
from tests.python.webhooks import shop
from tests.python.webhooks.shop import Sale, Shop
from webhooks import inbox
from webhooks.inbox import Notice
from webhooks.worker import Worker

pytestmark = pytest.mark.slow


class World:
    """A warehouse that a run has filled, and a worker over it whose clock is `now`."""

    def __init__(self, folder: Path, box_office: Shop, more: dict[str, str]) -> None:
        self.shop = box_office
        given = {**box_office.settings, **more}
        environ = process_environment(folder, given)

        def command(*words: str) -> bytes:
            run = [sys.executable, "-m", *words, "--json"]
            return subprocess.run(run, cwd=ROOT, env=environ, capture_output=True, check=False).stdout

        said = command("boxoffice", "run")
        steps = {step["name"]: step for step in json.loads(said)["steps"]}
        assert steps["sync civicrm"]["changed"] > 0, said
        if more:
            command("reverse_etl", "airtable", "--bootstrap")
            command("reverse_etl", "airtable")
        self.settings = settings_module.load({**environment(folder), **given})
        self.now = datetime.fromisoformat(box_office.now).timestamp()
        self.hot = Hot()
        inbox.prepare(self.settings)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.hot.close)
            self.box = stack.enter_context(
                inbox.opened(self.settings.ops_path, self.settings.eventbrite_api_url, clock=lambda: self.now)
            )
            self.worker = Worker(lambda: self.settings, self.box, self.hot, clock=lambda: self.now)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *trouble: object) -> None:
        self._stack.close()

    def sell(self, tickets: int = 1) -> Sale:
        """By this clock: what changed long before its notice is taken for old."""
        self.shop.steer("POST", "/clock", {"now": datetime.fromtimestamp(self.now, UTC).isoformat()})
        return self.shop.sell(tickets)

    def tell(self, *paths: str) -> None:
        for path in paths:
            body = {"config": {"action": "order.updated"}, "api_url": f"{self.shop.api}{path}"}
            self.box.store([Notice(self.now, {}, json.dumps(body).encode())])

    def work(self, seconds: float) -> None:
        """Look as the worker does, for that long by its clock."""
        until = self.now + seconds
        while (wait := self.worker.look()) is not None and self.now + wait < until:
            self.now += wait
        self.now = until

    def counts(self) -> tuple[int, int]:
        """Participants and contributions of the CRM."""
        return len(self.shop.rows("Participant")), len(self.shop.rows("Contribution"))


@contextmanager
def filled(folder: Path, *, has_airtable: bool = False) -> Iterator[World]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with (
        pytest.MonkeyPatch.context() as patch,
        shop.opened(folder, "--attendees", "100", "--airtable-pace", "off") as box_office,
    ):
        for client in (civicrm_api, airtable_api):
            patch.setattr(client, "_BACKOFF", lambda state: 0.0)
        patch.setattr(eventbrite_api, "_backoff", lambda state: 0.0)
        try:
            with World(folder, box_office, box_office.airtable if has_airtable else {}) as made:
                yield made
        finally:
            # What a command does about them stays with its process.
            for number, handler in handlers.items():
                signal.signal(number, handler)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with filled(tmp_path_factory.mktemp("world")) as made:
        yield made


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.message for record in caplog.records if record.name == "webhooks.worker"]
    return [message for message in found if not message.startswith("Looked at")]


def test_a_sale_is_in_the_crm_once_however_it_was_told_of(world: World) -> None:
    participants, contributions = world.counts()
    sale = world.sell(tickets=2)
    order, *tickets = world.shop.at(sale)
    world.tell(tickets[1], order, tickets[0], order)
    world.work(30)
    assert world.box.counts() == {"done": 4}
    assert world.counts() == (participants + 2, contributions + 1)
    # Told of once more, while the CRM is away: it is brought on later, without a notice.
    changed = {"last_name": "Seller", "name": "Pat Seller", "email": "pat1@example.org", "first_name": "Pat"}
    world.shop.steer("POST", f"/objects/attendees/{sale.attendee_ids[1]}", {"profile": changed})
    world.shop.steer("POST", "/civicrm/settings", {"maintenance": True})
    world.tell(order, *tickets)
    world.work(30)
    assert world.box.counts() == {"done": 7}
    assert "Seller" not in str(world.shop.rows("Contact"))
    world.shop.steer("POST", "/civicrm/settings", {"maintenance": False})
    world.work(120)
    assert "Seller" in str(world.shop.rows("Contact"))
    assert world.settings.marts_path.exists()
    assert world.counts() == (participants + 2, contributions + 1)


def test_eventbrite_down_for_ten_minutes(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "webhooks")
    participants, contributions = world.counts()
    world.shop.steer("POST", "/faults", {"do": "bad_gateway", "times": None})
    for _ in range(4):
        world.tell(*world.shop.at(world.sell()))
        world.work(150)
    assert world.box.waiting() == 8
    assert world.counts() == (participants, contributions)
    world.shop.steer("DELETE", "/faults")
    world.work(60)
    assert world.box.waiting() == 0
    assert "parked" not in world.box.counts()
    assert world.counts() == (participants + 4, contributions + 4)
    first, then = said(caplog)
    assert first.startswith("Eventbrite did not answer")
    assert first.endswith("Notices wait until it answers again.")
    assert then == "Eventbrite answers again."


def test_civicrm_down_for_ten_minutes(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "webhooks")
    participants, contributions = world.counts()
    world.shop.steer("POST", "/civicrm/faults", {"do": "bad_gateway", "times": None})
    for _ in range(4):
        world.tell(*world.shop.at(world.sell()))
        world.work(150)
    assert world.box.waiting() == 0
    assert world.counts() == (participants, contributions)
    world.shop.steer("DELETE", "/civicrm/faults")
    world.work(600)
    assert world.counts() == (participants + 4, contributions + 4)
    first, then = said(caplog)
    assert first.startswith("sync civicrm: ")
    assert then == "sync civicrm: it answers again."


def test_a_sale_is_in_airtable_for_as_few_calls_as_it_takes(tmp_path: Path) -> None:
    with filled(tmp_path, has_airtable=True) as world:

        def asked() -> list[str]:
            found = world.shop.steer("GET", "/airtable/requests")["requests"]
            world.shop.steer("DELETE", "/airtable/requests")
            return [each["does"] for each in found]

        asked()
        sales, calls = [], []
        for _ in range(2):
            sales.append(world.sell(tickets=2))
            world.tell(*world.shop.at(sales[-1]))
            world.work(20)
            calls.append(asked())
        # The event's sums, and the sale.
        assert calls == [["schema", "update", "create"], ["update", "create"]]
        world.work(120)
        assert asked() == []  # catching up finds nothing to write
        assert world.hot.is_left is False
        address = f"{world.settings.airtable_api_url}/v0/{world.settings.airtable_base_id}/Ticket Sales"
        answer = requests.get(address, headers={"Authorization": "Bearer sandbox"}, timeout=60)
        for sale in sales:
            [cells] = [each["fields"] for each in answer.json()["records"] if sale.order_id in str(each)]
            assert cells["boxoffice key"] == f"eventbrite-{sale.order_id}"
