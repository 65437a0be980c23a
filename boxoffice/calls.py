"""What clients of APIs share: a session, the token in one header, bodies, and failed calls as data."""

import json
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
import requests

from boxoffice.errors import LONGEST_TEXT, CallError, FailedCall


class Bearer(requests.auth.AuthBase):
    """The token as a header. As an `auth` it also keeps a .netrc from putting its own in its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def new_session(url: str) -> requests.Session:
    """A session for calls to one address."""
    session = requests.Session()
    session.headers["Accept"] = "application/json"
    # Proxies and certificates of the environment, looked up once instead of with every page.
    found = session.merge_environment_settings(url, {}, None, None, None)
    session.proxies, session.verify = found["proxies"], found["verify"]
    session.trust_env = False
    return session


def parsed(content: bytes) -> dict[str, Any] | None:
    """The JSON object that an answer holds; None when it holds none."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        try:
            # Half of a surrogate pair is JSON, yet no text: it becomes a question mark.
            text = json.dumps(json.loads(content), ensure_ascii=False)
            body = orjson.loads(text.encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
    return body if isinstance(body, dict) else None


def moment_of(header: str | None) -> datetime | None:
    """An HTTP date as UTC without zone; None for what is none."""
    try:
        moment = parsedate_to_datetime(header or "")
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None


@dataclass
class Call:
    """A call, and what came back."""

    url: str
    query: dict[str, Any]
    response: requests.Response | None = None
    method: str = "GET"

    def asked(self) -> str:
        """Method, path and query. Bodies hold people's data and are not kept."""
        query = f"?{urlencode(self.query, doseq=True)}" if self.query else ""
        return f"{self.method} {urlsplit(self.url).path}{query}"

    def told(self) -> list[str]:
        """The answer's headers that tell something, a line each."""
        assert self.response is not None
        headers = self.response.headers
        return [f"{name}: {headers[name]}" for name in ("content-type", "retry-after") if name in headers]

    def answered(self) -> str:
        """Status, the headers that tell something, and the body."""
        assert self.response is not None
        body = self.response.content.decode("utf-8", "replace")
        return "\n".join((str(self.response.status_code), *self.told(), "", body))


def failed(error: CallError, call: Call, at: datetime, *secrets: str) -> FailedCall:
    """The call that the error came of, with the stack that led here and without the secrets."""

    def masked(text: str) -> str:
        for secret in secrets:
            for form in {secret, quote(secret, safe="")} - {""}:
                text = text.replace(form, "***")
        return text

    stack = "".join((*traceback.format_stack()[:-1], *traceback.format_exception(error)))
    return FailedCall(
        failed_at=at,
        rule_id=type(error).__name__,
        request=masked(call.asked()),
        # Cut last: half a token would not be recognised.
        response=None if call.response is None else masked(call.answered())[:LONGEST_TEXT],
        stack=masked(stack),
    )
