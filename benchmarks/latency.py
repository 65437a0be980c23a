"""From a sale at Eventbrite to the CRM, through a listener: `python -m benchmarks.latency FOLDER TICKETS`.

Prints one JSON line: the seconds of sales that came one by one, those of a burst of 500 sales until the last
was there, and how many builds the burst took. Ends with code 1 if a sale was not there once.
"""

import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from boxoffice.settings import ROOT

SALES = 40
WARM_UP = 3  # sales that are not counted: the promise is for a listener that is warm
PAUSES = (0.0, 6.0)  # seconds between one sale that arrived and the next: some meet a catch-up
BURST = 500
WITHIN = 300  # seconds
Json = dict[str, Any]

MAPPED = 5  # events at Eventbrite, whose sales CiviCRM gets
PERSON = {"first_name": "Robin", "last_name": "Sample", "name": "Robin Sample"}


class StandIns:
    """Eventbrite and CiviCRM in a process beside this one."""

    def __init__(self, addresses: Json) -> None:
        self.eventbrite, self.civicrm = addresses["eventbrite"], addresses["civicrm"]
        self.control = addresses["control"]
        self._session = requests.Session()

    def asked(self, path: str, **params: Any) -> Json:
        headers = {"Authorization": "Bearer sandbox"}
        answer = self._session.get(f"{self.eventbrite}/{path}/", params=params, headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def put(self, objects: dict[str, list[Json]]) -> None:
        self._session.post(f"{self.control}/objects", json=objects, timeout=60).raise_for_status()

    def participants(self) -> list[str]:
        """The source of each, which names the attendee it was made of."""
        rows = self._session.get(f"{self.control}/civicrm/rows/Participant", timeout=60).json()["rows"]
        return [row["source"] or "" for row in rows]


@contextmanager
def serving(folder: Path, tickets: int) -> Iterator[StandIns]:
    command = [sys.executable, "-m", "sandbox", "serve", "--state", str(folder / "state"), "--port", "0"]
    command += ["--attendees", str(tickets), "--exit-with-parent", "--rate-limit", "1000000"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield StandIns(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


@contextmanager
def listening(environ: dict[str, str], log: Path) -> Iterator[None]:
    """A listener that has registered and whose worker is warm."""
    with log.open("w") as output:
        command = [sys.executable, "-m", "webhooks"]
        process = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        while "Eventbrite sends" not in log.read_text():
            if process.poll() is not None:
                raise RuntimeError(f"the listener ended with {process.returncode}:\n{log.read_text()}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


class Sales:
    """Makes orders of one ticket each, after the model of one that is there."""

    def __init__(self, stand_ins: StandIns, event_id: str) -> None:
        self._stand_ins = stand_ins
        sold = stand_ins.asked(f"events/{event_id}/attendees")["attendees"]
        self._ticket = next(each for each in sold if each["status"] == "Attending")
        self._order = stand_ins.asked(f"orders/{self._ticket['order_id']}")
        self._next = 990_000_000

    def sell(self, count: int) -> list[str]:
        """The ids of the new attendees."""
        when = {each: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" for each in ("created", "changed")}
        orders, tickets = [], []
        for number in range(self._next, self._next + 2 * count, 2):
            person = {**PERSON, "email": f"robin{number}@example.org"}
            orders.append(self._order | when | person | {"id": str(number), "status": "placed"})
            as_sold = {"cancelled": False, "refunded": False, "profile": person}
            tickets.append(self._ticket | when | as_sold | {"id": str(number + 1), "order_id": str(number)})
        self._next += 2 * count
        self._stand_ins.put({"orders": orders, "attendees": tickets})
        return [each["id"] for each in tickets]

    def until_there(self, ids: list[str]) -> float:
        """The time at which all of them were seen."""
        ends = time.monotonic() + WITHIN
        while time.monotonic() < ends:
            found = " ".join(self._stand_ins.participants())
            if all(each in found for each in ids):
                return time.monotonic()
            time.sleep(0.1)
        raise RuntimeError(f"{len(ids)} sales were not in the CRM after {WITHIN} s")


def builds(ops_path: Path) -> int:
    with closing(sqlite3.connect(ops_path)) as connection:
        return connection.execute(
            "select count(*) from steps where step = 'build civicrm' and status = 'ok'"
        ).fetchone()[0]


def main(folder: Path, tickets: int) -> None:
    with ExitStack() as stack:
        stand_ins = stack.enter_context(serving(folder, tickets))
        (organization, *_) = stand_ins.asked("users/me/organizations")["organizations"]
        events = stand_ins.asked(f"organizations/{organization['id']}/events", status="all", page_size=200)
        # The site of the stand-in takes dollars.
        sold = [
            each["id"]
            for each in events["events"]
            if each.get("currency") == "USD" and each["status"] in ("live", "completed")
        ]
        mappings = shutil.copytree(ROOT / "seeds" / "mappings", folder / "mappings")
        lines = [f"{event_id},{place},Attendee" for place, event_id in enumerate(sold[:MAPPED], 1)]
        named = "eventbrite_event,civicrm_event,fallback_role"
        (mappings / "civicrm_events.csv").write_text("\n".join([named, *lines, ""]))
        (folder / "sheets").mkdir()
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        environ = os.environ | {
            "DATABASE_URL": f"duckdb:///{folder}/boxoffice.duckdb",
            "MARTS_PATH": f"{folder}/marts.duckdb",
            "SHEETS_DIR": f"{folder}/sheets",
            "MAPPINGS_DIR": str(mappings),
            "EVENTBRITE_TOKEN": "sandbox",
            "EVENTBRITE_API_URL": stand_ins.eventbrite,
            "CIVICRM_URL": stand_ins.civicrm,
            "CIVICRM_API_KEY": "sandbox",
            "CIVICRM_TIMEZONE": "America/New_York",
            "WEBHOOK_URL": f"http://127.0.0.1:{port}",
            "WEBHOOK_SECRET": "benchmarkbenchmarkbenchmark",
            "WEBHOOK_PORT": str(port),
            "BOXOFFICE_AS_OF": "",
        }
        run = [sys.executable, "-m", "boxoffice", "run"]
        ended = subprocess.run(run, env=environ, capture_output=True, text=True, check=False)
        # 1: Eventbrite has attendees without data yet, which CiviCRM gets later.
        if ended.returncode not in (0, 1):
            raise RuntimeError(f"{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
        sales = Sales(stand_ins, sold[0])
        before = stand_ins.participants()
        stack.enter_context(listening(environ, folder / "listener.log"))
        took = []
        dice = random.Random(1)  # noqa: S311
        for _ in range(WARM_UP + SALES):
            began = time.monotonic()
            took.append(sales.until_there(sales.sell(1)) - began)
            time.sleep(dice.uniform(*PAUSES))
        built, began = builds(folder / "ops.sqlite"), time.monotonic()
        burst = sales.until_there(sales.sell(BURST)) - began
        built = builds(folder / "ops.sqlite") - built
        there = stand_ins.participants()
    sys.stdout.write(json.dumps({"seconds": took[WARM_UP:], "burst": burst, "builds": built}) + "\n")
    sys.exit(0 if len(there) - len(before) == WARM_UP + SALES + BURST else 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
