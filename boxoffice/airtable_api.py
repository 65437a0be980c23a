"""Airtable's Web API over HTTP: pages, writes, pacing, retries and the budget of calls.

What can be sent twice without harm is retried here; a lost answer to what cannot is `Unanswered`.

The token travels in one header and nowhere else: not in addresses, not in errors, not in notes.
"""

import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson
import requests
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from boxoffice.calls import Bearer, Call, failed, moment_of, new_session, parsed
from boxoffice.errors import CallError, FailedCall

PAGE_SIZE = 100
BATCH_SIZE = 10  # records in a write
# Airtable takes 5 calls a second for a base, whoever makes them.
PER_SECOND = 4.5
MOST_IN_A_SECOND = 5
AFTER_TOO_MANY = 30.0  # seconds that Airtable asks for after a 429
LANDING = 10.0  # seconds in which a write whose answer was lost may still be done
ATTEMPTS = 6
# A listing whose iterator is lost is read again from page 1.
RESTARTS = 3

_CONSTANT = re.compile(r"[A-Z][A-Z_]{2,60}")
_BACKOFF = wait_exponential_jitter(initial=1, max=60)


class TokenRefused(CallError):
    """Airtable does not know the token, or knows it no longer. Nothing more can be read."""


class Withheld(CallError):
    """403 or 404: this is not to be had with this token."""


class Unavailable(CallError):
    """Airtable did not give a usable answer, however often it was asked."""


class NotAccepted(CallError):
    """Airtable, or whoever answers in its place, does not take the request as it is."""


class MonthSpent(CallError):
    """The plan's calls of this month are used up. Waiting does not help."""


class BudgetSpent(CallError):
    """AIRTABLE_CALL_BUDGET allows no more calls in this run."""


class Refused(CallError):
    """A write that Airtable understood and did not do, none of it.

    kind: Airtable's constant for why; '' when it gave none. message: its words, which can hold what a cell
    holds.
    """

    def __init__(self, problem: str, remedy: str, kind: str, message: str) -> None:
        super().__init__(problem, remedy)
        self.kind, self.message = kind, message


class Unanswered(CallError):
    """A write that may have been done or not: no answer came. Whoever asked has to look."""


class _IteratorLost(Exception):
    pass


class _Again(Exception):
    """Trouble that may pass: `wait` is how many seconds Airtable asked for, None when it did not say."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class _Request:
    """what: it is about, in people's words. is_read: it changes nothing. is_safe: twice does no more than
    once."""

    method: str
    path: str
    what: str
    query: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    is_read: bool = True
    is_safe: bool = True

    @property
    def kept(self) -> str:
        return f"What was {'loaded' if self.is_read else 'written'} before stays."


@dataclass(frozen=True)
class Page:
    """records: as received. attempt: from 0; with a higher one the listing began again, and what came before
    is void. asked_at: Airtable's own time when that listing began, UTC; None when it did not say."""

    records: list[Any]
    attempt: int
    asked_at: datetime | None


class Client:
    """Reads and writes one base.

    Args:
        url: `https://api.airtable.com`.
        budget: most calls that a run makes, None for no limit. spent: how many it has made already.
        per_second: calls it makes in a second; None for as many as there are.
        attempts: how often a call is made before it has failed.
        sleep: waits that many seconds.
        clock: seconds since the epoch.
        report: told, in a sentence, why a run waits.

    Attributes:
        calls: how many were made, those that failed included.
        failures: the calls that failed for good; those that a retry made good are not there.
        is_in_doubt: whether an answer to the latest write was lost, so that it may have been done.
    """

    def __init__(
        self,
        url: str,
        token: str,
        base_id: str,
        *,
        budget: int | None = None,
        spent: int = 0,
        per_second: float | None = PER_SECOND,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        report: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._url, self._token, self._base_id = url.rstrip("/"), token, base_id
        self._budget, self._spent = budget, spent
        self._per_second, self._attempts = per_second, attempts
        self._sleep, self._clock, self._report = sleep, clock, report
        self._authorize = Bearer(token)
        self._session = new_session(self._url)
        self._begun = 0.0
        self._answered: deque[float] = deque(maxlen=MOST_IN_A_SECOND)
        self._last: Call | None = None
        self.calls = 0
        self.is_in_doubt = False
        self.failures: list[FailedCall] = []

    def close(self) -> None:
        self._session.close()

    def tables(self) -> list[dict[str, Any]]:
        """The base's tables with their fields.

        Raises:
            TokenRefused, Withheld, Unavailable, NotAccepted, MonthSpent, BudgetSpent: see there.
        """
        try:
            body, _ = self._call(_Request("GET", self._meta("tables"), "the base's tables"))
        except _IteratorLost:
            problem = "Airtable lost its place in the base's tables, which have none."
            raise self._failed(Unavailable(problem, "Check AIRTABLE_API_URL.")) from None
        tables = body.get("tables")
        if not isinstance(tables, list):
            raise self._failed(
                Unavailable("Airtable's answer holds no list of tables.", "Check AIRTABLE_API_URL.")
            )
        found = [each for each in tables if isinstance(each, dict) and isinstance(each.get("id"), str)]
        return list({each["id"]: each for each in found}.values())

    def pages(
        self,
        table_id: str,
        name: str,
        *,
        changed_since: datetime | None = None,
        formula: str | None = None,
        fields: Sequence[str] = (),
    ) -> Iterator[Page]:
        """The pages of a table's records, cells by field id. A record can come twice: the list may move.

        Args:
            name: what people call the table.
            changed_since: UTC; only records that somebody edited after it.
            formula: only records that it holds for, however long it is.
            fields: ids of those to show; all when empty.

        Raises:
            As `tables`.
        """
        query: dict[str, Any] = {"pageSize": PAGE_SIZE, "returnFieldsByFieldId": "true"}
        if changed_since is not None:
            moment = f"{changed_since:%Y-%m-%dT%H:%M:%S.000Z}"
            query["filterByFormula"] = f"IS_AFTER(LAST_MODIFIED_TIME(),DATETIME_PARSE('{moment}'))"
        if fields:
            query["fields[]"] = list(fields)
        for attempt in range(RESTARTS + 1):
            try:
                yield from self._listing(table_id, name, query, formula, attempt)
                return
            except _IteratorLost:
                continue
        raise self._failed(
            Unavailable(
                f"Airtable lost its place in table {name} {RESTARTS + 1} times.",
                "Run again later: what was loaded before stays.",
            )
        )

    def _listing(
        self, table_id: str, name: str, query: dict[str, Any], formula: str | None, attempt: int
    ) -> Iterator[Page]:
        asked_at: datetime | None = None
        offset: str | None = None
        given: set[str] = set()
        while True:
            asked = {**query, **({"offset": offset} if offset else {})}
            request = _Request("GET", self._table(table_id), f"table {name}", asked)
            if formula is not None:
                # An address has a longest length, a body has not.
                body = {key.removesuffix("[]"): value for key, value in asked.items()}
                body |= {"returnFieldsByFieldId": True, "filterByFormula": formula}
                path = f"{self._table(table_id)}/listRecords"
                request = _Request("POST", path, f"table {name}", body=body)
            answer, headers = self._call(request)
            records = answer.get("records")
            if not isinstance(records, list):
                problem = f"Airtable's answer for table {name} has no list of records."
                raise self._failed(Unavailable(problem, "Run again later."))
            if not given:
                asked_at = moment_of(headers.get("date"))
            yield Page(records, attempt, asked_at)
            offset = answer.get("offset")
            if not offset:
                return
            if not isinstance(offset, str) or offset in given:
                raise self._failed(
                    Unavailable(
                        f"Airtable's listing of table {name} came round to a page already read.",
                        "Run again later.",
                    )
                )
            given.add(offset)

    def create(
        self, table_id: str, name: str, rows: Sequence[dict[str, Any]], *, typecast: bool = False
    ) -> list[dict[str, Any]]:
        """Makes at most BATCH_SIZE records of cells by field id. Returns them as they are now, in order.

        Args:
            typecast: options that a select field lacks are made.

        Raises:
            Refused: none was made. Unanswered: all may be. And as `tables`.
        """
        body = {"records": [{"fields": row} for row in rows], "returnFieldsByFieldId": True}
        body |= {"typecast": True} if typecast else {}
        request = _Request("POST", self._table(table_id), f"table {name}", {}, body, False, False)
        return self._records(request, len(rows))

    def update(
        self,
        table_id: str,
        name: str,
        rows: Sequence[tuple[str, dict[str, Any]]],
        *,
        typecast: bool = False,
    ) -> list[dict[str, Any]]:
        """Sets cells of at most BATCH_SIZE records, by record id; every other cell stays. Returns the whole
        records, in order.

        Args:
            typecast: as of `create`.

        Raises:
            Refused: none was changed. And as `tables`.
        """
        records = [{"id": record, "fields": cells} for record, cells in rows]
        body = {"records": records, "returnFieldsByFieldId": True}
        body |= {"typecast": True} if typecast else {}
        request = _Request("PATCH", self._table(table_id), f"table {name}", {}, body, False)
        return self._records(request, len(rows))

    def delete(self, table_id: str, name: str, records: Sequence[str]) -> None:
        """Deletes at most BATCH_SIZE records. One that is gone already refuses all of them.

        Raises:
            Refused: none was deleted. And as `tables`.
        """
        query = {"records[]": list(records)}
        request = _Request("DELETE", self._table(table_id), f"table {name}", query, None, False)
        if {each.get("id") for each in self._records(request, len(records))} != set(records):
            raise self._amiss(request)

    def make_table(self, body: dict[str, Any]) -> dict[str, Any]:
        """Makes a table. Returns it, with its fields and their ids.

        Raises:
            Refused, Unanswered: as `create`. And as `tables`.
        """
        what = f"table {body['name']}"
        return self._call(_Request("POST", self._meta("tables"), what, {}, body, False, False))[0]

    def make_field(self, table_id: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Makes a field in a table. Returns it.

        Raises:
            As `make_table`.
        """
        path = f"{self._meta('tables')}/{quote(table_id, safe='')}/fields"
        return self._call(_Request("POST", path, f"table {name}", {}, body, False, False))[0]

    def _meta(self, what: str) -> str:
        return f"meta/bases/{quote(self._base_id, safe='')}/{what}"

    def _table(self, table_id: str) -> str:
        return f"{quote(self._base_id, safe='')}/{quote(table_id, safe='')}"

    def _records(self, request: _Request, count: int) -> list[dict[str, Any]]:
        records = self._call(request)[0].get("records")
        if not isinstance(records, list) or len(records) != count:
            raise self._amiss(request)
        if not all(isinstance(each, dict) and isinstance(each.get("id"), str) for each in records):
            raise self._amiss(request)
        return records

    def _amiss(self, request: _Request) -> CallError:
        """The answer to a write tells nothing of the records that it was about."""
        self.is_in_doubt = True
        problem = f"Airtable's answer for {request.what} does not tell of the records sent."
        return self._described(Unanswered(problem, "Run again: it looks before it sends again."))

    def _call(self, request: _Request) -> tuple[dict[str, Any], Any]:
        self.is_in_doubt = False
        retrying = Retrying(
            stop=stop_after_attempt(self._attempts),
            retry=retry_if_exception_type(_Again),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._once, request)
        except _Again as trouble:
            problem = (
                f"Airtable did not {'give' if request.is_read else 'change'} {request.what} in"
                f" {self._attempts} attempts: {trouble}."
            )
            raise self._failed(Unavailable(problem, f"{request.kept} Run again later.")) from None
        except (BudgetSpent, Refused, Unanswered):
            raise
        except CallError as error:
            self._failed(error)
            raise

    def _once(self, request: _Request) -> tuple[dict[str, Any], Any]:
        self._take()
        self._last = Call(f"{self._url}/v0/{request.path}", request.query, method=request.method)
        try:
            response = self._session.request(
                request.method,
                self._last.url,
                params=request.query,
                data=None if request.body is None else orjson.dumps(request.body),
                headers=None if request.body is None else {"Content-Type": "application/json"},
                auth=self._authorize,
                timeout=(10, 120),
                allow_redirects=False,
            )
        except requests.RequestException as trouble:
            # Its text can hold the address; its name is enough.
            raise self._lost(request, f"no connection ({type(trouble).__name__})") from None
        finally:
            self._answered.append(self._clock())
        self._last.response = response
        return self._judged(response, request), response.headers

    def _lost(self, request: _Request, reason: str, wait: float | None = None) -> Exception:
        """What a lost answer means: try again, or that somebody has to look first."""
        self.is_in_doubt = not request.is_read
        if request.is_safe:
            return _Again(reason, wait)
        # Who looked at once could miss what is still under way.
        self._sleep(LANDING)
        problem = f"Airtable did not say whether it changed {request.what}: {reason}."
        return self._described(Unanswered(problem, "Run again: it looks before it sends again."))

    def _take(self) -> None:
        """Waits until one more call is polite: evenly spaced, and however long each is on its way, at most
        five within any second that Airtable measures."""
        if self._budget is not None and self._spent + self.calls >= self._budget:
            raise BudgetSpent(
                f"AIRTABLE_CALL_BUDGET allows {self._budget:,} calls a run, and they are made.",
                "Raise it, or leave it out.",
            )
        if self._per_second is not None:
            ready = self._begun + 1 / self._per_second
            if len(self._answered) == MOST_IN_A_SECOND:
                ready = max(ready, self._answered[0] + 1)
            # A clock that was set back must not hold the run up.
            wait = min(ready - self._clock(), 1.0)
            if wait > 0:
                self._sleep(wait)
        self._begun = self._clock()
        self.calls += 1

    def _wait(self, state: RetryCallState) -> float:
        trouble = state.outcome.exception() if state.outcome else None
        if isinstance(trouble, _Again) and trouble.wait is not None:
            self._report(f"Airtable asks to wait; going on in {trouble.wait:.0f} seconds.")
            return trouble.wait
        return _BACKOFF(state)

    def _judged(self, response: requests.Response, request: _Request) -> dict[str, Any]:
        """The body of a good answer; every other answer as the exception that says what to do about it."""
        status, what = response.status_code, request.what
        body = parsed(response.content)
        if status == 200 and body is not None:
            return body
        error = _stated(body or {})
        said = f"{status} {error}".strip()
        if error == "PUBLIC_API_BILLING_LIMIT_EXCEEDED":
            raise MonthSpent(
                f"The Airtable plan's calls of this month are used up ({said}).",
                "Waiting does not help: it answers again next month, or on a larger plan. A larger"
                f" SCHEDULE_MINUTES makes them last. {request.kept}",
            )
        if error == "LIST_RECORDS_ITERATOR_NOT_AVAILABLE":
            raise _IteratorLost
        if status == 401:
            raise TokenRefused(
                f"AIRTABLE_TOKEN is refused by Airtable ({said}).",
                "Make a personal access token at https://airtable.com/create/tokens and copy it whole.",
            )
        if not request.is_read and (status in (413, 422) or error == "MODEL_ID_NOT_FOUND"):
            refusal = Refused(f"Airtable refuses to change {what} ({said}).", "", error, _message(body or {}))
            raise self._described(refusal)
        if status == 404:
            raise Withheld(
                f"Airtable does not know {what} of base {self._base_id} ({said}).",
                "Check AIRTABLE_BASE_ID: it starts with app and stands in the base's address. Check"
                " AIRTABLE_API_URL if you have set it.",
            )
        if status == 403 and request.is_read:
            raise Withheld(
                f"AIRTABLE_TOKEN may not read {what} of base {self._base_id} ({said}).",
                "Give the token the scopes data.records:read and schema.bases:read and access to that base,"
                " or mend AIRTABLE_BASE_ID.",
            )
        if status == 403:
            is_schema = request.path.startswith("meta/")
            scope, role = ("schema.bases:write", "Creator") if is_schema else ("data.records:write", "Editor")
            raise Withheld(
                f"AIRTABLE_TOKEN may not change {what} of base {self._base_id} ({said}).",
                f"Give the token the scope {scope} and access to that base; its owner needs the role {role}"
                " or more there, and nobody may have closed the table or a field to them.",
            )
        after = response.headers.get("retry-after", "")
        wait = float(after) if after.isdecimal() else None
        if status == 429:
            raise _Again(f"too many calls ({said})", max(AFTER_TOO_MANY, wait or 0.0))
        if status >= 500 or status == 200:
            reason = f"answer {said}" if status != 200 else "the answer was no JSON"
            raise self._lost(request, reason, wait)
        raise NotAccepted(
            f"Airtable does not accept the request for {what} ({said}).", "Check AIRTABLE_API_URL."
        )

    def _failed(self, error: CallError) -> CallError:
        """The error, with the last call, which is kept among the failures."""
        self._described(error)
        assert error.call is not None
        self.failures.append(error.call)
        return error

    def _described(self, error: CallError) -> CallError:
        """The error, with the last call. Whoever catches it decides whether that is kept."""
        assert self._last is not None
        error.call = failed(error, self._last, datetime.fromtimestamp(self._clock(), UTC), self._token)
        return error


def _stated(body: dict[str, Any]) -> str:
    """The error's constant, in whichever of Airtable's shapes; '' when there is none. Messages are free text
    and are not repeated."""
    found = body.get("error")
    errors = body.get("errors")
    if found is None and isinstance(errors, list) and errors:
        found = errors[0]
    if isinstance(found, dict):
        found = found.get("type") or found.get("error")
    return found if isinstance(found, str) and _CONSTANT.fullmatch(found) else ""


def _message(body: dict[str, Any]) -> str:
    """What Airtable says of an error in words, in whichever of its shapes; '' when it says nothing."""
    errors = body.get("errors")
    found = errors[0] if isinstance(errors, list) and errors else body.get("error")
    said = found.get("message") if isinstance(found, dict) else None
    return said if isinstance(said, str) else ""
