"""The webhooks at Eventbrite, on the stand-in over HTTP."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from boxoffice import ops
from boxoffice.eventbrite_api import Client, TokenRefused, Unavailable
from sandbox.server import StandIn, running
from webhooks import inbox
from webhooks.registration import ACTIONS, Registered, Registration

FIRST, SECOND = "700000000001", "700000000002"
OURS = "https://hooks.example.org/k3yk3yk3yk3yk3yk3yk3y"
THEIRS = "https://hooks.example.org/somebody-else"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    organizations = [{"id": FIRST}, {"id": SECOND}]
    with running(objects={"user": [{"id": "900000000001"}], "organizations": organizations}) as found:
        yield found


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with ops.opened(tmp_path / "ops.sqlite"), closing(inbox.connected(tmp_path / "ops.sqlite")) as opened:
        yield opened


@pytest.fixture
def registration(stand_in: StandIn, connection: sqlite3.Connection) -> Iterator[Registration]:
    client = Client(stand_in.eventbrite, stand_in.token, sleep=lambda seconds: None)
    yield Registration(client, connection)
    client.close()


def asked(stand_in: StandIn, method: str, path: str, **options: Any) -> Any:
    headers = {"Authorization": f"Bearer {stand_in.token}"}
    return requests.request(
        method, f"{stand_in.eventbrite}{path}", headers=headers, timeout=10, **options
    ).json()


def make(stand_in: StandIn, url: str, actions: str = ",".join(ACTIONS), **more: str) -> str:
    wish = {"endpoint_url": url, "actions": actions, **more}
    return str(asked(stand_in, "POST", f"/organizations/{FIRST}/webhooks/", json=wish)["id"])


def hooks(stand_in: StandIn, organization: str = FIRST) -> dict[str, str]:
    found = asked(stand_in, "GET", f"/organizations/{organization}/webhooks/")["webhooks"]
    assert all(set(hook["actions"]) == set(ACTIONS) for hook in found if hook["endpoint_url"] == OURS)
    return {hook["id"]: hook["endpoint_url"] for hook in found}


def writes(stand_in: StandIn) -> list[str]:
    return [each["method"] for each in stand_in.requests() if each["method"] != "GET"]


def test_each_organization_gets_one_webhook_and_a_second_start_none(
    stand_in: StandIn, registration: Registration
) -> None:
    assert registration.register(OURS) == Registered(made=2)
    assert [list(hooks(stand_in, each).values()) for each in (FIRST, SECOND)] == [[OURS], [OURS]]
    stand_in.forget_requests()
    assert registration.register(OURS) == Registered(kept=2)
    assert writes(stand_in) == []


def test_doubles_and_what_differs_go_and_others_stay(stand_in: StandIn, registration: Registration) -> None:
    other, same = make(stand_in, THEIRS), make(stand_in, OURS)
    for hook in ({"actions": "order.placed"}, {"event_id": "800000000001"}, {}):
        make(stand_in, OURS, **hook)
    assert registration.register(OURS) == Registered(kept=1, made=1, deleted=3)
    assert hooks(stand_in) == {other: THEIRS, same: OURS}


def test_a_new_secret_replaces_the_webhook_of_the_old_one(
    stand_in: StandIn, registration: Registration
) -> None:
    adopted = make(stand_in, OURS)
    other = make(stand_in, THEIRS)
    registration.register(OURS)
    assert registration.register(f"{OURS}-new") == Registered(made=2, deleted=2)
    found = hooks(stand_in)
    assert adopted not in found
    assert found.pop(other) == THEIRS
    assert list(found.values()) == [f"{OURS}-new"]


def test_unregister_takes_out_ours_only(stand_in: StandIn, registration: Registration) -> None:
    other = make(stand_in, THEIRS)
    registration.register(OURS)
    gone = next(each for each, url in hooks(stand_in).items() if url == OURS)
    stand_in.fault("answer", path=f"/webhooks/{gone}/", method="DELETE", status=404, error="NOT_FOUND")
    assert registration.unregister(None) == Registered(deleted=1)
    assert OURS not in hooks(stand_in, SECOND).values()
    asked(stand_in, "DELETE", f"/webhooks/{gone}/")
    assert registration.unregister(None) == Registered()
    assert hooks(stand_in) == {other: THEIRS}


def test_a_webhook_whose_answer_was_lost_is_not_made_twice(
    stand_in: StandIn, registration: Registration
) -> None:
    stand_in.fault("apply_then_drop", method="POST", path="/webhooks/")
    assert registration.register(OURS) == Registered(made=2)
    assert [list(hooks(stand_in, each).values()) for each in (FIRST, SECOND)] == [[OURS], [OURS]]


def test_what_eventbrite_does_not_let_happen_is_told(
    stand_in: StandIn, registration: Registration, connection: sqlite3.Connection
) -> None:
    stand_in.fault("forbid", path=f"/organizations/{FIRST}/webhooks/")
    assert registration.register(OURS) == Registered(made=1, withheld=[FIRST])
    stand_in.clear_faults()
    stand_in.fault("drop", method="POST", path="/webhooks/")
    with pytest.raises(Unavailable):
        registration.register(OURS)
    assert hooks(stand_in) == {}
    wrong = Registration(Client(stand_in.eventbrite, "wrong"), connection)
    with pytest.raises(TokenRefused):
        wrong.register(OURS)


def test_only_the_organization_that_is_set_is_asked(
    stand_in: StandIn, registration: Registration, connection: sqlite3.Connection
) -> None:
    assert Registration(registration._client, connection, SECOND).register(OURS) == Registered(made=1)
    assert hooks(stand_in) == {}
