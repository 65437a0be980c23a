"""The address that notices come to."""

import re
import secrets
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from boxoffice.errors import ConfigurationError
from boxoffice.settings import Settings

SHORTEST_SECRET = 20


@dataclass(frozen=True)
class Address:
    """Where notices come to: WEBHOOK_URL and, below it, WEBHOOK_SECRET."""

    url: str
    secret: str

    @property
    def endpoint(self) -> str:
        return f"{self.url}/{self.secret}"


def checked(settings: Settings) -> Settings:
    """The settings, with what sandbox mode needs no setting for.

    Raises:
        ConfigurationError: a setting is missing or cannot be used.
    """
    if settings.is_sandbox:
        return replace(settings, webhook_secret=settings.webhook_secret or secrets.token_urlsafe(32))
    if settings.eventbrite_token is None:
        raise ConfigurationError(
            "EVENTBRITE_TOKEN is not set, and notices are about what Eventbrite holds.",
            "Set it to the private token of an API key.",
        )
    if settings.webhook_url is None:
        raise ConfigurationError(
            "WEBHOOK_URL is not set.",
            "Set it to the public address that leads here, like https://hooks.example.org: docs/webhooks.md.",
        )
    parts = urlsplit(settings.webhook_url)
    # Without https the secret could be read on the way. A stand-in is on this machine.
    if parts.scheme != "https" and urlsplit(settings.eventbrite_api_url).scheme == "https":
        raise ConfigurationError(
            "WEBHOOK_URL is not an https address.",
            "Put a web server with a certificate before the receiver: docs/webhooks.md.",
        )
    if parts.scheme == "https" and parts.port not in (None, 443):
        raise ConfigurationError(
            f"WEBHOOK_URL names port {parts.port}, and Eventbrite calls the usual port only.",
            "Have the web server listen on 443, and leave the port out.",
        )
    make = 'Make one: python3 -c "import secrets; print(secrets.token_urlsafe(32))"'
    if settings.webhook_secret is None:
        raise ConfigurationError("WEBHOOK_SECRET is not set.", make)
    if not re.fullmatch(rf"[A-Za-z0-9._~-]{{{SHORTEST_SECRET},200}}", settings.webhook_secret):
        raise ConfigurationError(
            f"WEBHOOK_SECRET is not made of {SHORTEST_SECRET} to 200 letters, digits and . _ ~ - signs.", make
        )
    return settings
