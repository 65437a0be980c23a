"""What `doctor` finds of webhooks. It asks, and changes nothing."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing

import requests

from boxoffice import findings, ops
from boxoffice.errors import BoxofficeError
from boxoffice.eventbrite_api import Client
from boxoffice.findings import Finding
from boxoffice.settings import Settings
from webhooks import addresses
from webhooks.addresses import Address
from webhooks.registration import Registration

SYSTEM = "webhooks"
WITHIN = 10  # seconds


def check(settings: Settings) -> Iterator[Finding]:
    """Try the receiver, the way to it from outside, and whether Eventbrite sends there: a call for each
    organization. In sandbox mode there is nothing to ask."""
    if settings.is_sandbox:
        return
    if settings.webhook_url is None:
        yield Finding(SYSTEM, "off", "WEBHOOK_URL is not set, so changes wait for the next run.")
        return
    try:
        addresses.checked(settings)
    except BoxofficeError as error:
        yield findings.wrong(SYSTEM, error)
        return
    assert settings.webhook_secret is not None
    address = Address(settings.webhook_url, settings.webhook_secret)
    is_listening = yield from _of_receiver(settings)
    if is_listening:
        yield from _of_way(address)
    yield from _of_hooks(settings, address)


def _of_receiver(settings: Settings) -> Generator[Finding, None, bool]:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.webhook_host, settings.webhook_host)  # noqa: S104
    here = f"http://{host}:{settings.webhook_port}"
    answer = _asked(f"{here}/healthz")
    try:
        state = {} if answer is None else dict(answer.json())
    except ValueError:
        state = {}
    if "waiting" not in state:
        what = f"No receiver answers at {here}."
        yield Finding(
            SYSTEM, "look", what, "Start `make listen`, and see that it is started with the machine."
        )
        return False
    if state.get("status") != "ok":
        yield Finding(SYSTEM, "wrong", "The receiver cannot store notices.", "Its log says why.")
    elif state.get("worker") != "running":
        what = f"The receiver is at work, and its worker is not: {state.get('worker')}."
        yield Finding(SYSTEM, "look", what, "Its log says why.")
    else:
        yield Finding(SYSTEM, "ok", f"The receiver is at work; {state['waiting']} notices wait.")
    return True


def _of_way(address: Address) -> Iterator[Finding]:
    # To anything but a POST the right path answers so, and no other.
    answer = _asked(address.endpoint)
    if answer is not None and answer.status_code == 405 and answer.headers.get("allow") == "POST":
        yield Finding(SYSTEM, "ok", f"{address.url}/*** leads to the receiver.")
        return
    if answer is None:
        what, remedy = (
            "cannot be reached from here",
            "Look from elsewhere, and check name, port and certificate.",
        )
    else:
        what = f"does not lead to the receiver (answer {answer.status_code})"
        remedy = "Check the web server before it: docs/webhooks.md shows what it needs."
    yield Finding(SYSTEM, "look" if answer is None else "wrong", f"{address.url}/*** {what}.", remedy)


def _of_hooks(settings: Settings, address: Address) -> Iterator[Finding]:
    assert settings.eventbrite_token is not None
    client = Client(
        settings.eventbrite_api_url,
        settings.eventbrite_token,
        attempts=2,
        kept=0,
        secrets=[address.secret],
    )
    with closing(client), closing(_known(settings)) as connection:
        try:
            missing = Registration(client, connection, settings.eventbrite_organization_id).missing(
                address.endpoint
            )
        except BoxofficeError as error:
            yield findings.wrong(SYSTEM, error)
            return
    if missing:
        what = f"Eventbrite does not send here what changes in {', '.join(missing)}."
        yield Finding(SYSTEM, "look", what, "`make listen` makes the webhook when it starts.")
    else:
        yield Finding(SYSTEM, "ok", "Eventbrite sends here what changes.")


def _known(settings: Settings) -> sqlite3.Connection:
    """What the ops file knows of our webhooks; nothing where it is not there or of another version."""
    if settings.ops_path.exists():
        connection = sqlite3.connect(f"{settings.ops_path.as_uri()}?mode=ro", uri=True)
        try:
            connection.execute("select 1 from hooks limit 1")
            return connection
        except ops.Error:
            connection.close()
    connection = sqlite3.connect(":memory:")
    connection.execute("create table hooks (hook_id text)")
    return connection


def _asked(url: str) -> requests.Response | None:
    try:
        return requests.get(url, timeout=WITHIN, allow_redirects=False)
    except requests.RequestException:
        return None
