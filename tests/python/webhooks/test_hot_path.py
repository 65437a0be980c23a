"""From notices to the CRM: the worker at work on the real models, against the stand-ins over HTTP."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from boxoffice import settings as settings_module
from boxoffice.__main__ import Hot
from boxoffice.settings import ROOT
from reverse_etl import civicrm_api
from tests.python.boxoffice.conftest import environment, process_environment
from webhooks import inbox
from webhooks.inbox import Notice
from webhooks.worker import Worker

pytestmark = pytest.mark.slow
Json = dict[str, Any]
HEADERS = {"Authorization": "Bearer sandbox"}
MAPPED = "Midnight Sessions"


@pytest.fixture
def reached(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Settings that name the stand-ins, and where they are steered."""
    command = [sys.executable, "-m", "sandbox", "serve", "--state", str(tmp_path / "state"), "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = json.loads(process.stdout.readline())
        yield {
            "EVENTBRITE_TOKEN": "sandbox",
            "EVENTBRITE_API_URL": found["eventbrite"],
            "CIVICRM_URL": found["civicrm"],
            "CIVICRM_API_KEY": "sandbox",
            "CIVICRM_TIMEZONE": "America/New_York",
            "MAPPINGS_DIR": str(ROOT / "sandbox" / "mappings"),
            "CONTROL": found["control"],
        }
        process.terminate()


def test_a_sale_is_in_the_crm_once_however_it_was_told_of(
    reached: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(civicrm_api, "_BACKOFF", lambda state: 0.0)
    control, api = reached.pop("CONTROL"), reached["EVENTBRITE_API_URL"]

    def rows(entity: str) -> list[Json]:
        return requests.get(f"{control}/civicrm/rows/{entity}", timeout=60).json()["rows"]

    run = [sys.executable, "-m", "boxoffice", "run", "--json"]
    ended = subprocess.run(
        run, cwd=ROOT, env=process_environment(tmp_path, reached), capture_output=True, check=False
    )
    steps = {step["name"]: step for step in json.loads(ended.stdout)["steps"]}
    assert steps["sync civicrm"]["changed"] > 0, ended.stdout
    held = {entity: len(rows(entity)) for entity in ("Participant", "Contribution")}

    def asked(path: str, **params: Any) -> Json:
        return requests.get(f"{api}/{path}/", params=params, headers=HEADERS, timeout=60).json()

    (event_id,) = (
        event["id"]
        for organization in asked("users/me/organizations")["organizations"]
        for event in asked(f"organizations/{organization['id']}/events", status="all", page_size=200)[
            "events"
        ]
        if event["name"]["text"] == MAPPED
    )
    sold = asked(f"events/{event_id}/attendees")["attendees"]
    model = next(each for each in sold if each["status"] == "Attending")
    order = asked(f"orders/{model['order_id']}")
    when = requests.get(f"{control}/", timeout=60).json()["now"][:19] + "Z"
    buyer = {"name": "Pat Buyer", "first_name": "Pat", "last_name": "Buyer", "email": "pat@example.org"}
    new = {"created": when, "changed": when}
    order |= {**new, **buyer, "id": "990000001", "status": "placed"}
    tickets = [
        {
            **model,
            **new,
            "id": key,
            "order_id": order["id"],
            "profile": buyer,
            "cancelled": False,
            "refunded": False,
        }
        for key in ("990000002", "990000003")
    ]
    put = requests.post(f"{control}/objects", json={"orders": [order], "attendees": tickets}, timeout=60)
    assert put.ok, put.text

    settings = settings_module.load({**environment(tmp_path), **reached})
    at_order, at_tickets = (
        f"/orders/{order['id']}/",
        [f"/events/{event_id}/attendees/{each['id']}/" for each in tickets],
    )
    now, hot = [datetime.fromisoformat(when).timestamp()], Hot()
    inbox.prepare(settings)
    with inbox.opened(settings.ops_path, settings.eventbrite_api_url, clock=lambda: now[0]) as box:
        worker = Worker(lambda: settings, box, hot, clock=lambda: now[0])

        def tell(*paths: str) -> None:
            bodies = [
                json.dumps({"config": {"action": "order.updated"}, "api_url": f"{api}{path}"})
                for path in paths
            ]
            box.store([Notice(now[0], {}, body.encode()) for body in bodies])

        def work(until: float) -> None:
            while (wait := worker.look()) is not None and now[0] + wait < until:
                now[0] += wait

        tell(at_tickets[1], at_order, at_tickets[0], at_order)
        work(now[0] + 30)
        assert box.counts() == {"done": 4}
        assert len(rows("Participant")) == held["Participant"] + 2
        assert len(rows("Contribution")) == held["Contribution"] + 1
        # Told of once more, while the CRM is away: it is brought on later, without a notice.
        changed = {
            "last_name": "Seller",
            "name": "Pat Seller",
            "email": "pat@example.org",
            "first_name": "Pat",
        }
        requests.post(f"{control}/objects/attendees/990000003", json={"profile": changed}, timeout=60)
        requests.post(f"{control}/civicrm/settings", json={"maintenance": True}, timeout=60)
        tell(at_order, *at_tickets)
        work(now[0] + 30)
        assert box.counts() == {"done": 7}
        assert "Seller" not in str(rows("Contact"))
        requests.post(f"{control}/civicrm/settings", json={"maintenance": False}, timeout=60)
        work(now[0] + 120)
        assert "Seller" in str(rows("Contact"))
    hot.close()
    assert settings.marts_path.exists()
    assert len(rows("Participant")) == held["Participant"] + 2
    assert len(rows("Contribution")) == held["Contribution"] + 1
