"""Deliveries leave as Eventbrite was seen to send them, to whom asked for them. All over real HTTP."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from sandbox.server import StandIn, running

Json = dict[str, Any]
ORGANIZATION, OTHER = "700000000001", "700000000002"
EVENT, EVENT_OF_OTHER = "800000000001", "800000000002"
ALL = "order.placed,order.updated,order.refunded,attendee.updated,attendee.checked_in,event.updated"


class Endpoint:
    """Somebody's endpoint: what came, and what it answers."""

    def __init__(self) -> None:
        self.came: list[tuple[Json, dict[str, str]]] = []
        self.status = 200
        self.url = ""

    def told(self) -> list[str]:
        """Action and path, in order."""
        return [f"{body['config']['action']} {body['api_url'].partition('/v3')[2]}" for body, _ in self.came]


@contextmanager
def listening() -> Iterator[Endpoint]:
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.came.append((body, dict(self.headers)))
            self.send_response(endpoint.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_port}/hook/secret"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield endpoint
        server.shutdown()
        thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with listening() as found:
        yield found


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    objects: dict[str, list[Json]] = {
        "user": [{"id": "900000000001"}],
        "organizations": [{"id": ORGANIZATION}, {"id": OTHER}],
        "events": [
            {"id": EVENT, "organization_id": ORGANIZATION, "status": "live"},
            {"id": EVENT_OF_OTHER, "organization_id": OTHER, "status": "live"},
        ],
        "orders": [order("10")],
    }
    with running(objects=objects) as running_one:
        yield running_one


def order(identity: str, gross: int = 500, event: str = EVENT) -> Json:
    changed = "2027-02-01T10:00:00Z"
    return {"id": identity, "event_id": event, "changed": changed, "costs": {"gross": {"value": gross}}}


def attendee(identity: str) -> Json:
    return {"id": identity, "order_id": "11", "event_id": EVENT, "status": "Attending"}


def subscribe(stand_in: StandIn, url: str, **more: Any) -> str:
    answer = requests.post(
        f"{stand_in.eventbrite}/organizations/{ORGANIZATION}/webhooks/",
        json={"endpoint_url": url, "actions": ALL, **more},
        headers={"Authorization": "Bearer sandbox"},
        timeout=10,
    )
    return str(answer.json()["id"])


def settled(stand_in: StandIn) -> list[Json]:
    """The deliveries, once all are answered."""
    until = time.monotonic() + 20
    while (found := stand_in.deliveries())["open"] and time.monotonic() < until:
        time.sleep(0.01)
    return list(found["deliveries"])


def test_a_sale_is_told_of_in_the_order_and_shape_that_was_seen(
    stand_in: StandIn, endpoint: Endpoint
) -> None:
    hook = subscribe(stand_in, endpoint.url)
    stand_in.put(orders=[order("11")], attendees=[attendee("20"), attendee("21")])
    assert {each["status"] for each in settled(stand_in)} == {200}
    # Senders are parallel: only what is told of, not when, is sure.
    assert sorted(endpoint.told()) == sorted(
        [
            "order.updated /orders/11/",
            "order.placed /orders/11/",
            f"attendee.updated /events/{EVENT}/attendees/20/",
            f"attendee.updated /events/{EVENT}/attendees/21/",
            "order.updated /orders/11/",
        ]
    )
    assert [each["action"] for each in stand_in.deliveries()["deliveries"]].count("order.updated") == 2
    body, headers = next(each for each in endpoint.came if each[0]["config"]["action"] == "order.placed")
    assert body == {
        "config": {
            "action": "order.placed",
            "user_id": "900000000001",
            "endpoint_url": endpoint.url,
            "webhook_id": hook,
        },
        "api_url": f"{stand_in.eventbrite}/orders/11/",
    }
    assert headers["X-Eventbrite-Event"] == "order.placed"
    assert headers["X-Eventbrite-Delivery"] == hook  # so it is no id of a delivery
    assert headers["User-Agent"].startswith("Eventbrite Hookshot")
    assert (headers["Content-Type"], headers["Accept"]) == ("application/json", "text/plain")


def test_only_what_a_hook_asked_for_reaches_it(stand_in: StandIn, endpoint: Endpoint) -> None:
    subscribe(stand_in, endpoint.url, actions="order.refunded", event_id=EVENT)
    stand_in.put(orders=[order("10", gross=0), order("12", event=EVENT_OF_OTHER)])
    stand_in.change("events", EVENT, status="canceled")
    settled(stand_in)
    assert endpoint.told() == ["order.refunded /orders/10/"]


def test_a_read_is_stale_for_as_long_as_the_write_is_delayed(stand_in: StandIn, endpoint: Endpoint) -> None:
    subscribe(stand_in, endpoint.url, actions="order.placed")
    stand_in.set_clock("2027-03-01T12:00:00Z")
    stand_in.put(delay=15, orders=[order("13")])
    settled(stand_in)
    [(body, _)] = endpoint.came

    def status() -> int:
        headers = {"Authorization": "Bearer sandbox"}
        return requests.get(body["api_url"], headers=headers, timeout=10).status_code

    assert status() == 404
    stand_in.advance(15)
    assert status() == 200


def test_deliveries_can_be_lost_doubled_held_and_forged(stand_in: StandIn, endpoint: Endpoint) -> None:
    subscribe(stand_in, endpoint.url, actions="order.updated")
    stand_in.deliveries(drop=1)
    stand_in.put(orders=[order("10")])
    assert [each["status"] for each in settled(stand_in)] == ["dropped"]
    stand_in.deliveries(duplicates=2)
    stand_in.put(orders=[order("10")])
    settled(stand_in)
    assert endpoint.told() == ["order.updated /orders/10/"] * 3
    stand_in.deliveries(duplicates=0, hold=True)
    stand_in.put(orders=[order("10")])
    assert (stand_in.deliveries()["held"], len(endpoint.came)) == (1, 3)
    stand_in.deliveries(hold=False, foreign=1, wrong_webhook_id=True)
    settled(stand_in)
    stand_in.put(orders=[order("10")])
    settled(stand_in)
    *_, (held, _), (last, _) = endpoint.came
    assert len(endpoint.came) == 5
    assert last["config"]["webhook_id"] == "999"
    assert "evil" in held["api_url"]
    assert last["api_url"].startswith(stand_in.eventbrite)
    with pytest.raises(ValueError, match="no such switch: nonsense"):
        stand_in.deliveries(nonsense=1)


def test_the_test_button_names_no_object(stand_in: StandIn, endpoint: Endpoint) -> None:
    subscribe(stand_in, endpoint.url)
    stand_in.call("POST", "/deliveries/test")
    settled(stand_in)
    [(body, _)] = endpoint.came
    assert body["config"]["action"] == "test"
    assert body["api_url"].endswith("/{api-endpoint-to-fetch-object-details}/")


def test_410_ends_a_hook_and_other_trouble_is_not_tried_again(stand_in: StandIn, endpoint: Endpoint) -> None:
    subscribe(stand_in, "http://127.0.0.1:9/nobody")
    subscribe(stand_in, endpoint.url)
    endpoint.status = 410
    stand_in.change("events", EVENT, status="ended")
    assert sorted(str(each["status"]) for each in settled(stand_in)) == ["410", "ConnectionError"]
    stand_in.change("events", EVENT, status="completed")
    assert [each["status"] for each in settled(stand_in)[2:]] == ["ConnectionError"]
