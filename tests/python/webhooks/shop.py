"""The stand-ins as a process, and somebody who buys tickets there."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from boxoffice.settings import ROOT
from boxoffice.stand_ins import AIRTABLE_BASE

Json = dict[str, Any]
MAPPED = "Midnight Sessions"


@dataclass(frozen=True)
class Sale:
    order_id: str
    attendee_ids: tuple[str, ...]


class Shop:
    """Sells tickets of the one event that is mapped to CiviCRM."""

    def __init__(self, addresses: dict[str, str], mappings: Path) -> None:
        self.control, self.api = addresses["control"], addresses["eventbrite"]
        self.settings = {
            "EVENTBRITE_TOKEN": "sandbox",
            "EVENTBRITE_API_URL": self.api,
            "CIVICRM_URL": addresses["civicrm"],
            "CIVICRM_API_KEY": "sandbox",
            "CIVICRM_TIMEZONE": "America/New_York",
            "MAPPINGS_DIR": str(mappings),
        }
        self.airtable = {
            "AIRTABLE_TOKEN": "sandbox",
            "AIRTABLE_API_URL": addresses["airtable"],
            "AIRTABLE_BASE_ID": AIRTABLE_BASE,
        }
        (self.event_id,) = (
            event["id"]
            for organization in self._asked("users/me/organizations")["organizations"]
            for event in self._asked(
                f"organizations/{organization['id']}/events", status="all", page_size=200
            )["events"]
            if event["name"]["text"] == MAPPED
        )
        sold = self._asked(f"events/{self.event_id}/attendees")["attendees"]
        self._ticket = next(each for each in sold if each["status"] == "Attending")
        self._order = self._asked(f"orders/{self._ticket['order_id']}")
        self._sold = 0

    def _asked(self, path: str, **params: Any) -> Json:
        headers = {"Authorization": "Bearer sandbox"}
        answer = requests.get(f"{self.api}/{path}/", params=params, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def steer(self, method: str, path: str, wish: Any = None) -> Json:
        answer = requests.request(method, f"{self.control}{path}", json=wish, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def rows(self, entity: str) -> list[Json]:
        """Of CiviCRM."""
        return self.steer("GET", f"/civicrm/rows/{entity}")["rows"]

    @property
    def now(self) -> str:
        return f"{self.steer('GET', '/')['now'][:19]}Z"

    def sell(self, tickets: int = 1) -> Sale:
        """Every buyer is somebody new."""
        self._sold += 1
        number, now = 990_000_000 + 100 * self._sold, self.now
        buyer = {
            "name": f"Pat Buyer{self._sold}",
            "first_name": "Pat",
            "last_name": f"Buyer{self._sold}",
            "email": f"pat{self._sold}@example.org",
        }
        sale = Sale(str(number), tuple(str(number + place) for place in range(1, tickets + 1)))
        new = {"created": now, "changed": now}
        order = {**self._order, **new, **buyer, "id": sale.order_id, "status": "placed"}
        plain = {"profile": buyer, "cancelled": False, "refunded": False, "order_id": sale.order_id}
        attendees = [{**self._ticket, **new, **plain, "id": each} for each in sale.attendee_ids]
        self.steer("POST", "/objects", {"orders": [order], "attendees": attendees})
        return sale

    def at(self, sale: Sale) -> list[str]:
        """Where the order and its attendees are, below the API's address."""
        tickets = [f"/events/{self.event_id}/attendees/{each}/" for each in sale.attendee_ids]
        return [f"/orders/{sale.order_id}/", *tickets]

    def deliveries(self) -> list[Json]:
        return self.steer("GET", "/deliveries")["deliveries"]

    @property
    def is_all_sent(self) -> bool:
        return not self.steer("GET", "/deliveries")["open"]

    def held(self) -> tuple[Counter[str], Counter[str]]:
        """Sources of participants and invoices of contributions in CiviCRM, each as often as it is there."""
        participants = Counter(str(each["source"]) for each in self.rows("Participant"))
        return participants, Counter(str(each["invoice_id"]) for each in self.rows("Contribution"))


def wanted(sales: Iterable[Sale]) -> tuple[Counter[str], Counter[str]]:
    """What CiviCRM should hold of these sales, as `held` tells it."""
    sales = list(sales)
    participants = Counter(f"Eventbrite attendee {each}" for sale in sales for each in sale.attendee_ids)
    return participants, Counter(f"EB-{sale.order_id}" for sale in sales)


@contextmanager
def opened(folder: Path, *words: str) -> Iterator[Shop]:
    mappings = folder / "mappings"
    shutil.copytree(ROOT / "sandbox" / "mappings", mappings)
    (mappings / "civicrm_events.csv").write_text(
        f"eventbrite_event,civicrm_event,fallback_role\n{MAPPED},{MAPPED},Attendee\n"
    )
    command = [sys.executable, "-m", "sandbox", "serve", "--state", str(folder / "state"), "--port", "0"]
    with subprocess.Popen(
        [*command, *words], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Shop(json.loads(process.stdout.readline()), mappings)
        finally:
            process.terminate()
