"""CiviCRM's API over HTTP: v4, and v3 where v4 lacks something; what came back is judged by the body.

A read is made again when its answer is lost; a write only when it surely was not done: else it is
`Unreachable` with `maybe_done`, and whoever sent it has to look. Nothing that deletes can be sent.

The key travels in one header and nowhere else: not in addresses, not in errors, not in notes.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo

import orjson
import requests
import urllib3
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from boxoffice.calls import Call, failed, new_session, parsed
from boxoffice.errors import CallError, FailedCall

PAGE_SIZE = 500
# Reads in one call: the site starts up once for all of them, and has 30 seconds in all.
TOGETHER = 50
ATTEMPTS = 5
CONNECT, ANSWER = 10, 90  # seconds
LANDING = 10.0  # seconds in which a write whose answer was lost may still be done
# All else could delete: v4 `replace` does, and v3 `ParticipantPayment.delete` takes the contribution along.
WRITES = ("create", "update", "save", "set")
STAMP = "%Y-%m-%d %H:%M:%S"

_BACKOFF = wait_exponential_jitter(initial=1, max=30)
_HIDDEN = "Sorry an error occurred"
_LOCKED = re.compile(r"nativecode=(1213|1205)\b|deadlock|lock wait timeout", re.IGNORECASE)
_DUPLICATE = re.compile(r"Duplicate error.*ID\(s\) are: ?(?P<ids>[\d, ]+)", re.DOTALL)
_NO_KEY = (
    "Give the API user's contact an API key and a CMS user, and copy the key into CIVICRM_API_KEY whole"
    " (docs/civicrm.md shows where)."
)


class SiteError(CallError):
    """Trouble with the site. rule: a word for what it is, the same whenever it comes again. message: the
    site's own words, which can name people and are not to be shown; '' when it gave none."""

    def __init__(self, rule: str, problem: str, remedy: str, message: str = "") -> None:
        super().__init__(problem, remedy)
        self.rule, self.message = rule, message


class Refused(SiteError):
    """The site understood and did nothing: this record cannot be written, or read, as it is."""


class Duplicate(Refused):
    """Another record has what must be its own. ids: those of the contributions that the site names."""

    def __init__(self, rule: str, problem: str, remedy: str, message: str, ids: Sequence[int]) -> None:
        super().__init__(rule, problem, remedy, message)
        self.ids = list(ids)


class Denied(SiteError):
    """Key, permission or address are wrong: nothing more can be done in this run."""


class Unreachable(SiteError):
    """No answer that can be used. maybe_done: whether a write may have been applied all the same."""

    def __init__(self, rule: str, problem: str, remedy: str, *, maybe_done: bool) -> None:
        super().__init__(rule, problem, remedy)
        self.maybe_done = maybe_done

    @property
    def is_overload(self) -> bool:
        """Whether less at once could have been answered."""
        return self.rule == "ended" or self.rule.startswith("status ")


class _Again(Exception):
    """Trouble that may pass. is_undone: surely nothing was written. error: what to raise in the end."""

    def __init__(self, error: SiteError, *, is_undone: bool, wait: float | None = None) -> None:
        super().__init__(error.problem)
        self.error, self.is_undone, self.wait = error, is_undone, wait


@dataclass(frozen=True)
class Ask:
    """A read of API v4."""

    entity: str
    action: str = "get"
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Request:
    """path: of the API. form: its variables. shown: what of them is kept of a call that failed. what: it is
    about, in people's words."""

    path: str
    form: Mapping[str, str]
    what: str
    is_read: bool
    shown: Mapping[str, str] = field(default_factory=dict)


class Site:
    """Reads and writes one site; the first call finds out whether the site knows the key.

    Args:
        url: `https://example.org`, with `?civiwp=CiviCRM`, `?page=CiviCRM` or `?option=com_civicrm` where the
            CMS wants it.
        attempts: how often a call is made before it has failed.
        sleep: waits that many seconds.
        clock: seconds since the epoch.
        report: told, in a sentence, why a run waits.

    Attributes:
        calls: HTTP calls made, those that failed included. written: writes that were answered well.
        failures: the calls that failed for good; those that a retry made good are not there.
        currency: the site's own, once it has answered. rule: of the decision whose write is sent, to be kept
            with the call if it fails.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
        report: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._parts, self._key = urlsplit(url), key
        self._attempts, self._sleep, self._clock, self._report = attempts, sleep, clock, report
        self._authorize = _CiviAuth(key)
        self._session = new_session(url)
        self._session.headers["X-Requested-With"] = "XMLHttpRequest"
        self._last: Call | None = None
        self._together = TOGETHER
        self._is_known = False
        self.calls = 0
        self.written = 0
        self.failures: list[FailedCall] = []
        self.currency: str | None = None
        self.rule = ""

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- reads

    def get(
        self,
        entity: str,
        *,
        select: Sequence[str] = (),
        where: Sequence[Any] = (),
        order: Mapping[str, str] | None = None,
        limit: int = 0,
    ) -> list[dict[str, Any]]:
        """Records of an entity: the first `limit` by `order`, or all, by id.

        Trash, tests and templates are left out by the site unless `where` names is_deleted and its kin.

        Raises:
            Refused, Denied, Unreachable: see there.
        """
        params: dict[str, Any] = {"select": [*select, *({"id"} - {*select})] if select else ["*"]}
        if limit:
            asked = {**params, "where": list(where), "orderBy": dict(order or {"id": "ASC"}), "limit": limit}
            return self.read(entity, "get", asked)
        found: list[dict[str, Any]] = []
        while True:
            clauses = [*where, *([["id", ">", found[-1]["id"]]] if found else [])]
            page = self.read(
                entity, "get", {**params, "where": clauses, "orderBy": {"id": "ASC"}, "limit": PAGE_SIZE}
            )
            found += page
            if len(page) < PAGE_SIZE:
                return found

    def read(self, entity: str, action: str = "get", params: Mapping[str, Any] | None = None) -> list[Any]:
        """What one action that changes nothing (get…) gives.

        Raises:
            As `get`.
        """
        _check_reads(action)
        self._make_known()
        return self._values(self._call(_v4(entity, action, params or {}, is_read=True)))

    def ask(self, calls: Sequence[Ask]) -> list[list[Any] | SiteError]:
        """What each of many reads gives, in order, TOGETHER of them in one HTTP call; fewer once that was too
        much for the site.

        Raises:
            Denied, Unreachable: see there. What is refused of a single read stands in its place.
        """
        for each in calls:
            _check_reads(each.action)
        found: list[list[Any] | SiteError] = []
        while len(found) < len(calls):
            some = calls[len(found) : len(found) + self._together]
            try:
                found += self._asked(some)
            except Unreachable as error:
                if len(some) == 1 or not error.is_overload:
                    raise
                self._together = len(some) // 2
                self.failures = [each for each in self.failures if each is not error.call]
        return found

    def _asked(self, some: Sequence[Ask]) -> list[list[Any] | SiteError]:
        self._make_known()
        # Names, as PHP makes a list of what is numbered.
        named = {f"c{place}": [each.entity, each.action, each.params] for place, each in enumerate(some)}
        entities = " and ".join(sorted({each.entity for each in some}))
        form = {"calls": orjson.dumps(named, default=str).decode()}
        body = self._call(_Request("civicrm/ajax/api4", form, entities, True))
        if not set(named) <= set(body):
            problem = "The site's answer does not tell of all that was asked."
            raise self._failed(Unreachable("answer", problem, "Run again later.", maybe_done=False))
        return [self._item(each, body[f"c{place}"]) for place, each in enumerate(some)]

    def _item(self, asked: Ask, body: Any) -> list[Any] | SiteError:
        about = _v4(asked.entity, asked.action, {}, is_read=True)
        if isinstance(body, dict) and isinstance(body.get("values"), list):
            return list(body["values"])
        error = self._refusal(body if isinstance(body, dict) else {}, about, 200)
        if isinstance(error, Denied):
            raise self._failed(error)
        return self._failed(error)

    def get3(self, entity: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All records that v3 has for these parameters; every value is a text.

        Raises:
            As `get`.
        """
        self._make_known()
        asked = {**params, "sequential": 1, "options": {"limit": 0}}
        values = self._call(_v3(entity, "get", asked, is_read=True)).get("values")
        return list(values.values()) if isinstance(values, dict) else list(values or [])

    def who(self) -> None:
        """Find out whether the site knows the key: to nobody it gives empty lists.

        Raises:
            Denied, Unreachable: see there.
        """
        # Whoever may `access CiviCRM` may read this, and no site lacks it.
        asked = {
            "select": ["value", "is_default"],
            "where": [["option_group_id:name", "=", "currencies_enabled"], ["is_active", "=", True]],
        }
        try:
            found = self._values(self._call(_v4("OptionValue", "get", asked, is_read=True)))
        except SiteError as error:
            if error.rule not in ("permission", "hidden"):
                raise
            found = []
        if not found:
            problem = "The site does not know who calls: it gives the key of CIVICRM_API_KEY nothing to see."
            remedy = f"{_NO_KEY} The CMS user needs the permission `access CiviCRM`."
            raise self._failed(Denied("nobody", problem, remedy))
        self._is_known = True
        default = [each["value"] for each in found if each.get("is_default") or len(found) == 1]
        self.currency = str(default[0]) if default else self._currency()

    def _currency(self) -> str | None:
        """What an administrator may know."""
        asked = {"select": ["defaultCurrency"]}
        try:
            found = self._values(self._call(_v4("Setting", "get", asked, is_read=True)))
        except (Denied, Refused) as error:
            self.failures = [each for each in self.failures if each is not error.call]
            return None
        return str(found[0]["value"]) if found else None

    def _make_known(self) -> None:
        if not self._is_known:
            self.who()

    # -- writes

    def write(self, entity: str, action: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One write, in one HTTP call: create, update, save or set. Returns what it says of the records; an
        update that finds none gives an empty list.

        Raises:
            Refused, Duplicate: nothing was written. Denied, Unreachable: see there.
        """
        _check_writes(action)
        self._make_known()
        found = self._values(self._call(_v4(entity, action, params, is_read=False)), is_read=False)
        self.written += 1
        return found

    def write3(self, entity: str, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """One write by v3, for what v4 has not: ParticipantPayment. Returns the record.

        Raises:
            As `write`.
        """
        _check_writes(action)
        self._make_known()
        body = self._call(_v3(entity, action, {**params, "sequential": 1}, is_read=False))
        values = body.get("values")
        values = list(values.values()) if isinstance(values, dict) else values
        if not isinstance(values, list) or not values or not isinstance(values[0], dict):
            problem = f"The site's answer does not tell of the {entity} that was sent."
            raise self._failed(Unreachable("answer", problem, _LOOKS, maybe_done=True))
        self.written += 1
        return dict(values[0])

    # -- one call

    def _values(self, body: dict[str, Any], *, is_read: bool = True) -> list[Any]:
        values = body.get("values")
        if isinstance(values, dict):
            values = list(values.values())
        if not isinstance(values, list):
            problem = "The site's answer holds no records."
            remedy = "Run again later." if is_read else _LOOKS
            raise self._failed(Unreachable("answer", problem, remedy, maybe_done=not is_read))
        return values

    def address(self, path: str) -> str:
        """The address of a path of the site, in the form that its CMS wants."""
        query = dict(parse_qsl(self._parts.query))
        base = self._parts._replace(query="", fragment="")
        if "CiviCRM" in (query.get("civiwp"), query.get("page")):
            return base._replace(query=urlencode(query | {"q": path}, safe="/")).geturl()
        if query.get("option") == "com_civicrm":
            return base._replace(query=urlencode(query | {"task": path}, safe="/")).geturl()
        return base._replace(path=f"{base.path.rstrip('/')}/{path}").geturl()

    def _call(self, request: _Request) -> dict[str, Any]:
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
            raise self._failed(trouble.error) from None
        except SiteError as error:
            raise self._failed(error) from None

    def _once(self, request: _Request) -> dict[str, Any]:
        self.calls += 1
        self._last = Call(self.address(request.path), dict(request.shown), method="POST")
        try:
            response = self._session.request(
                "POST",
                self._last.url,
                data=request.form,
                auth=self._authorize,
                timeout=(CONNECT, ANSWER),
                allow_redirects=False,
            )
        except requests.RequestException as trouble:
            raise self._lost(request, trouble) from None
        self._last.response = response
        return self._judged(response, request)

    def _lost(self, request: _Request, trouble: requests.RequestException) -> Exception:
        """What it means that no answer came. The trouble's text can hold the address; its name is enough."""
        host, name = self._parts.hostname, type(trouble).__name__
        if "CERTIFICATE_VERIFY_FAILED" in str(trouble):
            problem = f"The certificate of {host} cannot be trusted, so nothing is sent there."
            remedy = "Renew it, or let CIVICRM_URL be the name that it is for."
            return Denied("certificate", problem, remedy)
        if _is_unconnected(trouble):
            problem = f"{host} cannot be reached ({name})."
            remedy = "See whether the site is up and CIVICRM_URL is its address, then run again."
            return _Again(Unreachable("connection", problem, remedy, maybe_done=False), is_undone=True)
        return self._unheard(request, f"the connection ended ({name})")

    def _unheard(self, request: _Request, reason: str, rule: str = "ended") -> Exception:
        """The answer to what was sent is lost."""
        if request.is_read:
            problem = f"The site did not give {request.what}: {reason}."
            error = Unreachable(rule, problem, "Run again later: what was written stays.", maybe_done=False)
            return _Again(error, is_undone=True)
        # Who looked at once could miss what is still under way.
        self._sleep(LANDING)
        problem = f"The site did not say whether it changed {request.what}: {reason}."
        return Unreachable(rule, problem, _LOOKS, maybe_done=True)

    def _wait(self, state: RetryCallState) -> float:
        trouble = state.outcome.exception() if state.outcome else None
        if isinstance(trouble, _Again) and trouble.wait is not None:
            self._report(f"The CiviCRM site asks to wait; going on in {trouble.wait:.0f} seconds.")
            return trouble.wait
        return _BACKOFF(state)

    def _judged(self, response: requests.Response, request: _Request) -> dict[str, Any]:
        """The body of a good answer; every other answer as the exception that says what to do about it.

        Some hosts send 200 with every error, so the body decides where there is one.
        """
        status, body = response.status_code, parsed(response.content)
        if body is not None and "status_message" in body and "error_message" not in body:
            problem = "The CiviCRM site is down for maintenance."
            error = Unreachable("maintenance", problem, "Run again later.", maybe_done=False)
            raise _Again(error, is_undone=True)
        is_error = body is not None and (
            "error_message" in body or "error_code" in body or bool(body.get("is_error"))
        )
        if body is not None and is_error:
            raise self._refused(self._refusal(body, request, status))
        # Where all of many reads are refused, so is the call; each says why.
        if body is not None and (status == 200 or "c0" in body):
            return body
        if 300 <= status < 400:
            raise self._moved(response)
        if status in (401, 403, 404, 405):
            raise self._turned_away(status, response.text)
        if status == 429:
            after = response.headers.get("retry-after", "")
            problem = f"{self._parts.hostname} takes no more calls for now (429)."
            error = Unreachable("pace", problem, "Run again later.", maybe_done=False)
            raise _Again(error, is_undone=True, wait=float(after) if after.isdecimal() else None)
        if status == 200:
            raise self._unheard(request, *_unreadable(response))
        raise self._unheard(request, f"answer {status}", f"status {status}")

    def _moved(self, response: requests.Response) -> SiteError:
        to = urlsplit(response.headers.get("location", ""))
        where = f" to {to.scheme}://{to.netloc}{to.path}" if to.netloc else ""
        return Denied(
            "moved",
            f"The site sends calls to {self._parts.hostname} on{where} ({response.status_code}).",
            "Let CIVICRM_URL begin as the address does that the browser shows: https, and with or without"
            " www. A log-in page there means that CIVICRM_URL has not the form of its CMS.",
        )

    def _turned_away(self, status: int, text: str) -> SiteError:
        if status == 401:
            for words, (rule, problem, remedy) in _TURNED_AWAY.items():
                if words in text:
                    return Denied(rule, f"{problem} (401).", remedy)
            return Denied("key", "CIVICRM_API_KEY is refused by the site (401).", _NO_KEY)
        if status == 404:
            return Denied(
                "address",
                f"There is no CiviCRM API at {self.address('civicrm/ajax/api4').partition('?')[0]} (404).",
                "Write CIVICRM_URL in the form of the site's CMS: docs/civicrm.md shows each;"
                " `make doctor` tries them.",
            )
        return Denied(
            "blocked",
            f"Something before CiviCRM refuses the calls ({status}): a firewall, or the web server.",
            "Have it let POST requests to civicrm/ajax/ through from this machine.",
        )

    def _refused(self, error: SiteError) -> Exception:
        """A deadlock has undone the write, so it can be sent again."""
        if _LOCKED.search(error.message):
            return _Again(error, is_undone=True)
        return error

    def _refusal(self, body: Mapping[str, Any], request: _Request, status: int) -> SiteError:
        """What the site says is wrong, without what its words may tell of people."""
        said = body.get("error_message")
        text = said if isinstance(said, str) else ""
        what = request.what
        does = "give" if request.is_read else "change"
        if body.get("error_code") == "unauthorized" or 403 in (status, body.get("status")):
            is_record = "ACL check failed" in text
            problem = f"The user of CIVICRM_API_KEY may not {does} {what}{' of one record' * is_record}."
            remedy = "Give it the permissions that docs/civicrm.md lists; `make doctor` tries each."
            return (Refused if is_record else Denied)("permission", problem, remedy, text)
        if _HIDDEN in text:
            problem = f"The site refuses to {does} {what}, and hides why."
            remedy = "Grant the user of CIVICRM_API_KEY `view debug output`, and the reason shows."
            return Refused("hidden", problem, remedy, text)
        if found := _DUPLICATE.search(text):
            ids = [int(each) for each in re.findall(r"\d+", found["ids"])]
            shown = ", ".join(map(str, ids))
            problem = f"Contribution {shown} has this transaction id or invoice reference already."
            remedy = "Look at it: nobody but boxoffice should use references that begin with EB-."
            return Duplicate("duplicate", problem, remedy, text, ids)
        if "DB Error: already exists" in text:
            problem = f"The site has {what} that is the only one of its kind already."
            return Duplicate("duplicate", problem, "Run again: it looks for that one first.", text, [])
        for rule, pattern, kind, problem, remedy in _REFUSALS:
            if match := pattern.search(text):
                named = {name: value or "" for name, value in match.groupdict().items()}
                return kind(rule, problem.format(what=what, does=does, **named), remedy, text)
        problem = f"The site refuses to {does} {what}."
        return Refused("refused", problem, "What it says about it is kept among the API errors.", text)

    def _failed(self, error: SiteError) -> SiteError:
        """The error, with the last call, which is kept among the failures."""
        if error.call is None:
            assert self._last is not None
            call = failed(error, self._last, datetime.fromtimestamp(self._clock(), UTC), self._key)
            error.call = replace(call, rule_id=f"{self.rule} {call.rule_id}".strip())
            self.failures.append(error.call)
        return error


_LOOKS = "Run again: it looks at the site before it sends anything again."
_TURNED_AWAY = {
    "Must satisfy guard": (
        "guard",
        "The site lets nobody in by API key alone",
        "Grant the user of CIVICRM_API_KEY the permission `authenticate with api key`.",
    ),
    "is not allowed for this principal": (
        "flow",
        "The site takes no API keys in the header X-Civi-Auth",
        "Allow `api_key` for the flow `xheader` in CiviCRM's settings for Authentication (authx).",
    ),
    "User is blocked": (
        "blocked user",
        "The CMS user of CIVICRM_API_KEY is blocked",
        "Unblock it in the CMS, or use another user's key.",
    ),
}
# Rule, the site's words, what it means, and what to do. Only words that cannot be a person's are repeated.
_REFUSALS: Sequence[tuple[str, re.Pattern[str], type[SiteError], str, str]] = (
    (
        "permission",
        re.compile(r"Authorization failed|insufficient permission"),
        Denied,
        "The user of CIVICRM_API_KEY may not {does} {what}.",
        "Give it the permissions that docs/civicrm.md lists; `make doctor` tries each.",
    ),
    (
        "not there",
        re.compile(r"does not exist \(or the extension|API \(\w+, \w+\) does not exist"),
        Denied,
        "The site has no {what} that can be asked for.",
        "Enable CiviEvent and CiviContribute under Administer > System Settings > Components.",
    ),
    (
        "version",
        re.compile(r"Unknown api parameter: (?P<name>\w{1,40})"),
        Denied,
        "The site does not know the parameter {name} of {what}.",
        "Update CiviCRM: 5.75 or newer is needed.",
    ),
    (
        "field",
        re.compile(r"Invalid field '(?P<name>[\w.:]{1,80})'"),
        Refused,
        "The site's {what} has no field {name}.",
        "Update CiviCRM, or see whether a custom field was renamed.",
    ),
    (
        "missing",
        re.compile(
            r"Mandatory (values missing from Api4 \S+|key\(s\) missing.*?): (?P<name>[\w, .:]{1,200})"
        ),
        Refused,
        "The site wants {name} of {what}.",
        "An option that the site has not counts as nothing: see the event's role, status and financial type.",
    ),
    (
        "reference",
        re.compile(r"constraint violation|is not valid : \d+"),
        Refused,
        "What {what} refers to is not there: an event, a contact, a status or a role.",
        "See whether somebody deleted it, then run again.",
    ),
    (
        "option",
        re.compile(r"is not a valid option for field (?P<name>\w{1,40})"),
        Refused,
        "The site has no such option for {name} of {what}.",
        "Add it there, or name another in the mapping.",
    ),
    (
        "status move",
        re.compile(r"Cannot change contribution status from (?P<old>[\w ]{1,40}) to (?P<new>[\w ]{1,40})"),
        Refused,
        "CiviCRM does not let a contribution go from {old} to {new}.",
        "Set its status by hand; it is tried again in every run.",
    ),
    (
        "dedupe rule",
        re.compile(r"Mismatched contact type|dedupe rule|Duplicate check must", re.IGNORECASE),
        Refused,
        "The site cannot look for the same person by that rule.",
        "Let dedupe_rule in settings.csv name a rule for individuals.",
    ),
    (
        "deadlock",
        _LOCKED,
        Refused,
        "The site's database was too busy to {does} {what}.",
        "It is tried again in the next run.",
    ),
)


def _unreadable(response: requests.Response) -> tuple[str, str]:
    """What came in place of JSON, and a word for it."""
    text = response.text
    if '"values"' in text and text.rstrip().endswith("}"):
        return "PHP's own warnings stand before the data, which display_errors = Off keeps away", "warnings"
    if "html" in response.headers.get("content-type", "") or text.lstrip()[:1] == "<":
        return "a web page came in place of data", "page"
    return "the answer was no JSON", "answer"


class _CiviAuth(requests.auth.AuthBase):
    """The key as a header. As an `auth` it also keeps a .netrc from putting its own in its place."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Civi-Auth"] = f"Bearer {self._key}"
        return request


def _v4(entity: str, action: str, params: Mapping[str, Any], *, is_read: bool) -> _Request:
    form = {"params": orjson.dumps(params, default=str).decode()}
    return _Request(f"civicrm/ajax/api4/{entity}/{action}", form, entity, is_read)


def _v3(entity: str, action: str, params: Mapping[str, Any], *, is_read: bool) -> _Request:
    shown = {"entity": entity, "action": action}
    form = {**shown, "json": orjson.dumps(params, default=str).decode()}
    return _Request("civicrm/ajax/rest", form, entity, is_read, shown)


def _check_reads(action: str) -> None:
    if not action.startswith("get") and action != "checkAccess":
        raise ValueError(f"{action} is no read")


def _check_writes(action: str) -> None:
    if action not in WRITES:
        raise ValueError(f"{action} could delete")


def _is_unconnected(trouble: requests.RequestException) -> bool:
    """Whether nothing was sent, as no connection came about."""
    if isinstance(trouble, requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    reason = getattr(trouble.args[0] if trouble.args else None, "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


# -- times


def site_time(moment: datetime, zone: ZoneInfo) -> str:
    """A moment (UTC where it says no zone) as the site writes it: its local time, which names no zone."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(zone).strftime(STAMP)


def utc_time(text: str, zone: ZoneInfo) -> datetime:
    """A time of the site, as `get` or `create` writes it, as UTC without zone. Of an hour that comes twice it
    is the first."""
    digits = re.sub(r"\D", "", text).ljust(14, "0")
    local = datetime.strptime(digits[:14], "%Y%m%d%H%M%S").replace(tzinfo=zone)
    return local.astimezone(UTC).replace(tzinfo=None)
