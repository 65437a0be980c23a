"""Eventbrite's API over HTTP: pages, retries and the hourly budget. Knows nothing of bronze.

The token travels in one header and nowhere else: not in addresses, not in errors, not in notes.
What Eventbrite sends back in `x-rate-limit` holds it in clear, so only its numbers are read.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from boxoffice.calls import Bearer, Call, failed, moment_of, new_session, parsed
from boxoffice.errors import CallError, FailedCall

# Events and discounts document `page_size`; everything else pages by 50 without being asked.
PAGE_SIZE = 50
# Of every hourly window this much stays free for the webhooks' own look-ups.
KEPT_FOR_WEBHOOKS = 0.1
ATTEMPTS = 6
LONGEST_BACKOFF = 60.0
REDIRECTS = 3
# A continuation that expired, or a listing whose rows moved between two pages, is read again from page 1.
RESTARTS = 2
# Waits in a row that each freed next to nothing: somebody else spends the budget.
VAIN_WAITS = 3

_BUCKET = re.compile(r"(\d+)\s*/\s*(\d+)\s+reset\s*=\s*(\d+)\s*s")
_CONSTANT = re.compile(r"[A-Z][A-Z_]{2,60}")


class TokenRefused(CallError):
    """Eventbrite does not know the token, or knows it no longer. Nothing more can be read."""


class Withheld(CallError):
    """403 or 404: this one object or listing is not to be had with this token."""


class Unavailable(CallError):
    """Eventbrite did not give a usable answer, however often it was asked."""


class NotAccepted(CallError):
    """Eventbrite, or whoever answers in its place, does not take the request as it is."""


class Stopped(Exception):
    """The run ended elsewhere while this thread waited."""


class ExpansionFailed(Exception):
    """Eventbrite could not expand; the same call without `expand` works."""


class _BadContinuation(Exception):
    pass


class _Again(Exception):
    """Trouble that may pass: `wait` is how many seconds Eventbrite asked for, None when it did not say."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _TooMany(_Again):
    """429."""


@dataclass(frozen=True)
class Page:
    items: list[Any]
    total: int | None  # what Eventbrite says the listing holds
    is_expanded: bool  # False when the expansion failed and the page was read without it
    attempt: int = 0  # counts how often the listing was begun again
    asked_at: datetime | None = None  # Eventbrite's clock at the first page of this reading, UTC without zone


class Budget:
    """The hourly window of calls, as `x-rate-limit` tells it; shared by every thread of a run.

    Args:
        clock: seconds since the epoch.
        sleep: waits that many seconds.
        report: told, in a sentence, until when the run waits.
        kept: the share of each window that is left to others.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        report: Callable[[str], None],
        kept: float = KEPT_FOR_WEBHOOKS,
    ) -> None:
        self._clock, self._sleep, self._report, self._kept = clock, sleep, report, kept
        self._lock = threading.Lock()
        self._used = 0
        self._limit: int | None = None
        self._ends = 0.0
        self._open = 0
        self._since_wait = 0
        self._vain = 0
        self._parked_for = 0.0
        self.requests = 0

    @property
    def left(self) -> int | None:
        """Calls left in the window, the webhooks' share included. None before the first answer."""
        return None if self._limit is None else max(0, self._limit - self._used)

    def take(self) -> None:
        """Returns when one more call is within the budget.

        Raises:
            Unavailable: the window is spent again and again without this run spending it.
        """
        while True:
            with self._lock:
                wait = self._wait()
                if wait <= 0:
                    self._open += 1
                    self._since_wait += 1
                    self.requests += 1
                    return
                is_first = self._ends != self._parked_for
                if is_first:
                    # The first thread of many to meet this window's end.
                    self._parked_for = self._ends
                    self._vain = self._vain + 1 if self._since_wait < 10 else 0
                    self._since_wait = 0
                if self._vain > VAIN_WAITS:
                    raise Unavailable(
                        "The hourly budget of Eventbrite calls is spent by something other than this run.",
                        "See what else uses the same token, or give boxoffice its own.",
                    )
            self.park(wait, "The hourly budget of Eventbrite calls is spent", is_told=not is_first)

    def give_back(self, header: str | None) -> None:
        """Ends a call that `take` began; `header` is the answer's `x-rate-limit`, None without an answer."""
        buckets = [tuple(map(int, found)) for found in _BUCKET.findall(header or "")]
        buckets = [bucket for bucket in buckets if bucket[1] > 0]
        with self._lock:
            self._open -= 1
            if not buckets:
                return
            used, limit, reset = min(buckets, key=lambda bucket: self._allowed(bucket[1]) - bucket[0])
            # The reset is in whole seconds.
            ends = self._clock() + reset + 1
            # Answers overtake each other: within one window a lower count is an older one.
            is_new_window = self._clock() >= self._ends or ends > self._ends + 60
            if is_new_window or used > self._used or limit != self._limit:
                self._used, self._limit, self._ends = used, limit, ends

    def park(self, seconds: float, why: str, *, is_told: bool = False) -> None:
        """Waits, and says until when if it takes more than a minute and nobody has said so."""
        if seconds > LONGEST_BACKOFF and not is_told:
            until = datetime.fromtimestamp(self._clock() + seconds, UTC)
            self._report(f"{why}; waiting until {until:%H:%M:%S} UTC.")
        self._sleep(seconds)

    def _wait(self) -> float:
        if self._limit is None or self._clock() >= self._ends:
            return 0.0
        spent = self._used + self._open
        return 0.0 if spent < self._allowed(self._limit) else max(self._ends - self._clock(), 0.1)

    def _allowed(self, limit: int) -> float:
        return limit * (1 - self._kept)


class Client:
    """Eventbrite's API. Safe to share between threads; each call has a connection to itself.

    Args:
        url: the API's base, `https://www.eventbriteapi.com/v3`.
        token: a private token.
        sleep: waits that many seconds; without it `stop` ends the wait.
        clock: seconds since the epoch.
        report: told, in a sentence, until when the run waits.
        attempts: how often a call is made whose trouble may pass.
        within: seconds of silence after which a call has failed.
        kept: the share of the hourly budget that is left to others.
        secrets: what else must not be kept of a failed call.

    Attributes:
        failures: the calls that failed for good, in every thread; those that a retry made good are not there.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.time,
        report: Callable[[str], None] = lambda sentence: None,
        attempts: int = ATTEMPTS,
        within: float = 120.0,
        kept: float = KEPT_FOR_WEBHOOKS,
        secrets: Sequence[str] = (),
    ) -> None:
        self._attempts, self._within = attempts, within
        self._secrets = (token, *secrets)
        self._url = url.rstrip("/") + "/"
        self._clock = clock
        self.failures: list[FailedCall] = []
        self._authorize = Bearer(token)
        self._stopping = threading.Event()
        self._sleep = sleep or self._stopping.wait
        self.budget = Budget(clock, self._pause, report, kept)
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._free: list[requests.Session] = []

    def stop(self) -> None:
        """Makes every call and wait in every thread end with `Stopped`."""
        self._stopping.set()

    def close(self) -> None:
        self.stop()
        for session in self._sessions:
            session.close()

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        """One object, or one page.

        Raises:
            TokenRefused, Withheld, Unavailable: see there.
            ExpansionFailed: `params` holds `expand` and Eventbrite could not do it.
            NotAccepted: Eventbrite does not accept the request.
            Stopped: `stop` was called.
        """
        return self._persistently(path, _Again, lambda: self._once(path, params))

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One write, `POST` or `DELETE`.

        Raises:
            As `get`. After `Unavailable` a POST may have been carried out: it is made once only, unless it
            was refused for there being too many calls.
        """

        def write() -> dict[str, Any]:
            return _judge(path, {}, self._send(self._url + path, {}, method, body))

        return self._persistently(path, _TooMany if method == "POST" else _Again, write)

    def _persistently(
        self, path: str, passing: type[_Again], call: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        retrying = Retrying(
            stop=stop_after_attempt(self._attempts),
            retry=retry_if_exception_type(passing),
            wait=_backoff,
            sleep=lambda seconds: self.budget.park(seconds, "Eventbrite takes no more calls for now"),
            reraise=True,
        )
        try:
            return retrying(call)
        except _Again as trouble:
            attempts = retrying.statistics["attempt_number"]
            tried = f"in {attempts} attempts" if attempts > 1 else "usably"
            problem = f"Eventbrite did not answer for {path} {tried}: {trouble}."
            raise self._failed(
                Unavailable(problem, "What was loaded before stays. Check the network, or run again later.")
            ) from None
        except CallError as error:
            self._failed(error)
            raise

    def pages(self, path: str, key: str, *, expand: str | None = None, **params: Any) -> Iterator[Page]:
        """The pages of a listing, up to the one that says there are no more.

        A row can come twice, in two versions: pages are offsets into a list that moves. When fewer rows
        came than the listing holds, or a continuation expired, it is read again from page 1.

        Args:
            path: of the listing, ending in a slash.
            key: under which a page holds its items, `orders`.
            expand: names of expansions; given up for the rest of the listing when Eventbrite fails at it.
            params: filters, sent with every page.

        Raises:
            As `get`; also `Unavailable` for a listing that cannot be brought to an end.
        """
        for restart in range(RESTARTS + 1):
            is_last_try = restart == RESTARTS
            ids: set[str] = set()
            most, pages = 0, 0
            try:
                for page in self._pass(path, key, expand, params, restart):
                    if not page.is_expanded:
                        expand = None
                    pages += 1
                    most = max(most, page.total or 0)
                    for place, item in enumerate(page.items):
                        found = item.get("id") if isinstance(item, dict) else None
                        # What has no id is a row all the same.
                        ids.add(str(found or f"{pages}/{place}"))
                    yield page
            except _BadContinuation:
                if is_last_try:
                    raise self._unusable(f"Eventbrite let every continuation of {path} expire.") from None
                continue
            # Rows that moved to a page already read were missed. One page cannot move against itself.
            if pages < 2 or len(ids) >= most or restart:
                return

    def _pass(
        self, path: str, key: str, expand: str | None, params: dict[str, Any], attempt: int
    ) -> Iterator[Page]:
        continuation: str | None = None
        given: set[str] = set()
        wants_expansion = expand is not None
        rows = 0
        asked_at: datetime | None = None
        while True:
            asked = {**params, **({"continuation": continuation} if continuation else {})}
            try:
                body = self.get(path, **asked, **({"expand": expand} if expand else {}))
            except ExpansionFailed:
                expand = None
                body = self.get(path, **asked)
            items, pagination = body.get(key), body.get("pagination") or {}
            if not isinstance(items, list) or not isinstance(pagination, dict):
                raise self._unusable(f"Eventbrite's answer for {path} has no list of {key}.")
            total = pagination.get("object_count")
            total = total if isinstance(total, int) else None
            rows += len(items)
            if not given:
                asked_at = moment_of(self._local.last.response.headers.get("date"))
            yield Page(items, total, not wants_expansion or expand is not None, attempt, asked_at)

            continuation, has_more = pagination.get("continuation"), pagination.get("has_more_items")
            if has_more is False:
                return
            if not items:
                if total is not None and rows < total:
                    raise self._unusable(f"Eventbrite ended the listing {path} after {rows} of {total} rows.")
                return
            if not isinstance(continuation, str) or not continuation:
                raise self._unusable(
                    f"Eventbrite's listing {path} has more rows and does not say how to read on."
                )
            if continuation in given:
                raise self._unusable(f"Eventbrite's listing {path} came round to a page already read.")
            given.add(continuation)

    def _once(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        url, query = self._url + path, {name: value for name, value in params.items() if value is not None}
        for _ in range(REDIRECTS + 1):
            response = self._send(url, query)
            location = response.headers.get("location")
            if response.status_code not in (301, 302, 307, 308) or not location:
                break
            onward = urljoin(response.url, location)
            if requests.sessions.SessionRedirectMixin().should_strip_auth(response.url, onward):
                raise NotAccepted(
                    f"Eventbrite's answer for {path} points to another host, {urlsplit(onward).hostname};"
                    " the token was not sent there.",
                    "Check EVENTBRITE_API_URL.",
                )
            url, query = onward, {}
        return _judge(path, query or params, response)

    def _send(
        self, url: str, query: dict[str, Any], method: str = "GET", body: dict[str, Any] | None = None
    ) -> requests.Response:
        self._local.last = _Call(url, query, method=method)
        self.budget.take()
        header = None
        session = self._taken()
        try:
            if self._stopping.is_set():
                raise Stopped
            response = session.request(
                method,
                url,
                params=query,
                json=body,
                auth=self._authorize,
                timeout=(10, self._within),
                allow_redirects=False,
            )
            self._local.last.response = response
            header = response.headers.get("x-rate-limit")
        except requests.RequestException as trouble:
            # Its text can hold the address; its name is enough.
            raise _Again(f"no connection ({type(trouble).__name__})") from None
        finally:
            self._free.append(session)
            self.budget.give_back(header)
        return response

    def _unusable(self, problem: str) -> CallError:
        return self._failed(Unavailable(problem, "Run again later."))

    def _failed(self, error: CallError) -> CallError:
        """The error, with this thread's last call, which is kept among the failures."""
        call: Call = self._local.last
        error.call = failed(error, call, datetime.fromtimestamp(self._clock(), UTC), *self._secrets)
        self.failures.append(error.call)
        return error

    def _taken(self) -> requests.Session:
        """A session that no other thread has. Threads come and go, and connections stay open."""
        try:
            return self._free.pop()
        except IndexError:
            session = new_session(self._url)
            self._sessions.append(session)
            return session

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)
        if self._stopping.is_set():
            raise Stopped


class _Call(Call):
    def told(self) -> list[str]:
        assert self.response is not None
        # The token stands in it in clear: only the numbers are kept.
        buckets = _BUCKET.findall(self.response.headers.get("x-rate-limit", ""))
        return [
            *super().told(),
            *(f"x-rate-limit: {used}/{limit} reset={reset}s" for used, limit, reset in buckets),
        ]


def _backoff(state: RetryCallState) -> float:
    trouble = state.outcome.exception() if state.outcome else None
    if isinstance(trouble, _Again) and trouble.wait is not None:
        return trouble.wait
    if isinstance(trouble, _TooMany):
        # Without a word on when the window ends, the waits together outlast it.
        return 120.0 * 2.0 ** (state.attempt_number - 1)
    return min(2.0 ** (state.attempt_number - 1), LONGEST_BACKOFF)


def _judge(path: str, params: dict[str, Any], response: requests.Response) -> dict[str, Any]:
    """The body of a good answer; every other answer as the exception that says what to do about it."""
    status = response.status_code
    body = parsed(response.content)
    if status == 200 and body is not None:
        return body
    # Only the constant is repeated: descriptions are free text and can echo what was sent.
    stated = str((body or {}).get("error", ""))
    error = stated if _CONSTANT.fullmatch(stated) else ""
    said = f"{status} {error}".strip()
    if status == 401 or error in ("INVALID_AUTH", "INVALID_AUTH_HEADER", "NO_AUTH"):
        raise TokenRefused(
            f"EVENTBRITE_TOKEN is refused by Eventbrite ({said}).",
            "Copy the private token of an API key at https://www.eventbrite.com/platform/api-keys into it.",
        )
    if error == "BAD_CONTINUATION_TOKEN":
        raise _BadContinuation
    if error == "EXPANSION_FAILED" and "expand" in params:
        raise ExpansionFailed
    if status in (403, 404):
        raise Withheld(
            f"Eventbrite withholds {path} ({said}).",
            "Give the token's owner a role that may read it."
            if status == 403
            else "It may have been deleted, or never been the token's to see.",
        )
    if status == 429:
        raise _TooMany(f"too many calls ({said})", _asked_wait(response))
    if status >= 500 or body is None:
        raise _Again(f"answer {said}" if status != 200 else "the answer was no JSON")
    raise NotAccepted(
        f"Eventbrite does not accept the request for {path} ({said}).",
        "Check EVENTBRITE_API_URL and EVENTBRITE_ORGANIZATION_ID.",
    )


def _asked_wait(response: requests.Response) -> float | None:
    """Seconds that a 429 asks for: `Retry-After`, else until the spent window ends."""
    after = response.headers.get("retry-after", "")
    if after.isdecimal():
        return float(after) + 1
    resets = [
        int(reset)
        for used, limit, reset in _BUCKET.findall(response.headers.get("x-rate-limit", ""))
        if int(used) >= int(limit) * (1 - KEPT_FOR_WEBHOOKS)
    ]
    return max(resets) + 1.0 if resets else None
