"""The webhooks at Eventbrite that bring notices here: one per organization, made where it is missing.

Ours are those that we made, as the ops file knows, and those that lead to our very address. Others are left
alone.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from boxoffice.errors import CallError
from boxoffice.eventbrite_api import Client, Unavailable, Withheld
from boxoffice.ops import as_text

# What bronze keeps of Eventbrite, and what changes the numbers. Nothing is kept of organizers.
ACTIONS = (
    *("order.placed", "order.updated", "order.refunded"),
    *("attendee.updated", "attendee.checked_in", "attendee.checked_out"),
    *("event.created", "event.updated", "event.published", "event.unpublished"),
    *("ticket_class.created", "ticket_class.updated", "ticket_class.deleted"),
    "venue.updated",
)


@dataclass
class Registered:
    """What came of it, in webhooks. withheld: organizations whose webhooks the token may not manage."""

    kept: int = 0
    made: int = 0
    deleted: int = 0
    withheld: list[str] = field(default_factory=list)


class Registration:
    """The webhooks of an account.

    Args:
        client: of Eventbrite's API.
        connection: to the ops file.
        organization_id: only this organization; without it every one the token sees.
    """

    def __init__(
        self, client: Client, connection: sqlite3.Connection, organization_id: str | None = None
    ) -> None:
        self._client, self._connection = client, connection
        self._organization_id = organization_id

    def register(self, endpoint_url: str) -> Registered:
        """Have each organization send to this address, once.

        Raises:
            CallError: Eventbrite does not take the calls, or cannot be reached; what was done stays.
        """
        done = Registered()
        for organization in self._organizations():
            try:
                self._register(organization, endpoint_url, done)
            except Withheld:
                done.withheld.append(organization)
        return done

    def _register(self, organization: str, endpoint_url: str, done: Registered) -> None:
        own = self._own(organization, endpoint_url)
        good = [hook for hook in own if _is_good(hook, endpoint_url)]
        if good:
            done.kept += 1
        else:
            # Before the others go: until then those bring what they can.
            good = [self._made(organization, endpoint_url)]
            done.made += 1
        # What was adopted is remembered too: the address may change.
        self._remember(organization, str(good[0]["id"]))
        for hook in own:
            if hook["id"] != good[0]["id"]:
                done.deleted += self._delete(str(hook["id"]))

    def missing(self, endpoint_url: str) -> list[str]:
        """The organizations that do not send to this address what is needed. Asks only; raises CallError."""
        return [
            organization
            for organization in self._organizations()
            if not any(_is_good(hook, endpoint_url) for hook in self._own(organization, endpoint_url))
        ]

    def unregister(self, endpoint_url: str | None) -> Registered:
        """Delete what is ours. Raises CallError as `register`."""
        done = Registered()
        for organization in self._organizations():
            try:
                for hook in self._own(organization, endpoint_url):
                    done.deleted += self._delete(str(hook["id"]))
            except Withheld:
                done.withheld.append(organization)
        return done

    def _organizations(self) -> list[str]:
        if self._organization_id is not None:
            return [self._organization_id]
        pages = self._client.pages("users/me/organizations/", "organizations")
        return list(dict.fromkeys(str(each["id"]) for page in pages for each in _objects(page.items)))

    def _own(self, organization: str, endpoint_url: str | None) -> list[dict[str, Any]]:
        known = {row[0] for row in self._connection.execute("select hook_id from hooks")}
        pages = self._client.pages(f"organizations/{organization}/webhooks/", "webhooks")
        found = {str(each["id"]): each for page in pages for each in _objects(page.items)}
        return [
            hook
            for identity, hook in found.items()
            if identity in known or (endpoint_url is not None and hook.get("endpoint_url") == endpoint_url)
        ]

    def _made(self, organization: str, endpoint_url: str) -> dict[str, Any]:
        wish = {"endpoint_url": endpoint_url, "actions": ",".join(ACTIONS)}
        try:
            return self._client.send("POST", f"organizations/{organization}/webhooks/", wish)
        except Unavailable:
            # It may have been made all the same, and a second one would double every notice.
            for hook in self._own(organization, endpoint_url):
                if _is_good(hook, endpoint_url):
                    return hook
            raise

    def _remember(self, organization: str, identity: str) -> None:
        with self._connection:
            self._connection.execute(
                "insert or ignore into hooks values (?, ?, ?)",
                (identity, organization, as_text(datetime.now(UTC))),
            )

    def _delete(self, identity: str) -> bool:
        try:
            self._client.send("DELETE", f"webhooks/{identity}/")
            is_deleted = True
        except Withheld as error:
            if not _says_gone(error):
                raise
            is_deleted = False
        with self._connection:
            self._connection.execute("delete from hooks where hook_id = ?", (identity,))
        return is_deleted


def _is_good(hook: dict[str, Any], endpoint_url: str) -> bool:
    actions = hook.get("actions")
    return (
        hook.get("endpoint_url") == endpoint_url
        and isinstance(actions, list)
        and set(map(str, actions)) == set(ACTIONS)
        and hook.get("event_id") is None
    )


def _objects(items: list[Any]) -> Iterator[dict[str, Any]]:
    return (each for each in items if isinstance(each, dict) and each.get("id"))


def _says_gone(error: CallError) -> bool:
    return error.call is not None and (error.call.response or "").startswith("404")
