"""One short message to ALERT_WEBHOOK_URL when something is no longer well, and one when it is well again.

What is not well is read from the ops file, so a message holds names of steps, counts and times: nothing of a
person, nothing secret. What was told is kept there too, whichever process tells it, and so is never told
twice.
"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from boxoffice import status
from boxoffice.ops import Error, as_text
from boxoffice.settings import Settings

logger = logging.getLogger(__name__)

# What goes to and fro is told of this often at most: the last of it when the time is over. So is what could
# not be told.
QUIET = timedelta(minutes=15)
WITHIN = 10  # seconds
MOST_REJECTED = 0.05  # of a step's rows
STALE_AFTER = 3  # times SCHEDULE_MINUTES without a run
GONE_AFTER = timedelta(minutes=10)  # without a sign of the listener, which gives one each minute
WELL = {
    "run": "the latest run went well",
    "schedule": "runs are made again",
    "rejects": "few rows are rejected again",
    "webhooks": "notices of Eventbrite are worked on again",
    "listener": "the listener is at work again, or no longer to be",
}

_LATEST = """
select run_id, status, started_at from runs
where command = 'run' and status not in ('running', 'stopped') order by run_id desc limit 1
"""


def look(settings: Settings, connection: sqlite3.Connection, now: datetime | None = None) -> None:
    """Tell what has changed since it was told last. Trouble with that goes to the log."""
    url = settings.alert_webhook_url
    if url is None:
        return
    now = now or datetime.now(UTC)
    try:
        for topic, trouble in _found(settings, connection, now):
            before = _claimed(connection, topic, trouble is not None, now)
            if before is None:
                continue
            if not _sent(url, trouble or f"{WELL[topic]}."):
                _put_back(connection, topic, before, now)
                return
    except Error as error:
        logger.warning("Whether all is well could not be looked up: %s", error)


def look_from_outside(settings: Settings) -> None:
    """As `look`, for who has not opened the ops file. Needs no lock."""
    if settings.alert_webhook_url is None or not settings.ops_path.exists():
        return
    with suppress(Error), closing(sqlite3.connect(settings.ops_path, timeout=30)) as connection:
        look(settings, connection)


def say(settings: Settings, text: str) -> None:
    """Tell this, as often as it is called: what the ops file cannot tell of, as it cannot be written."""
    if settings.alert_webhook_url is not None:
        _sent(settings.alert_webhook_url, text)


def sign_of_listener(settings: Settings) -> Path:
    """The file whose time says when a listener was last at work."""
    return settings.ops_path.with_suffix(".listening")


def _found(
    settings: Settings, connection: sqlite3.Connection, now: datetime
) -> Iterator[tuple[str, str | None]]:
    """Each topic with what is not well; None where it is."""
    latest = connection.execute(_LATEST).fetchone()
    if latest is not None:
        run_id, state, started_at = latest
        steps = connection.execute(
            "select step, status, rows_read, rows_rejected from steps where run_id = ? order by position",
            (run_id,),
        ).fetchall()
        yield "run", _of_run(state, started_at, [(step, how) for step, how, *_ in steps])
        yield "rejects", _of_rejects([(step, read, rejected) for step, _, read, rejected in steps])
    last = connection.execute("select max(started_at) from runs where command = 'run'").fetchone()[0]
    longest = timedelta(minutes=STALE_AFTER * settings.schedule_minutes)
    is_stale = last is not None and last < as_text(now - longest)
    every = f"one was to come every {settings.schedule_minutes} minutes (SCHEDULE_MINUTES)"
    yield "schedule", f"no run since {last} UTC, and {every}." if is_stale else None
    yield "webhooks", _of_notices(connection, now)
    yield "listener", _of_listener(settings, connection, now)


def _of_run(state: str, started_at: str, steps: list[tuple[str, str]]) -> str | None:
    if state == "ok":
        return None
    bad = ", ".join(f"{step} {how}" for step, how in steps if how not in ("ok", "skipped"))
    what = {"killed": "was killed", "crashed": "crashed", "refused": "was not possible"}.get(state)
    return f"the run of {started_at} UTC {what or 'needs a look'}{f' ({bad})' if bad else ''}: `make status`."


def _of_rejects(steps: list[tuple[str, int | None, int | None]]) -> str | None:
    many = [
        f"{step} {rejected:,} of {read:,}"
        for step, read, rejected in steps
        if read and rejected and rejected > MOST_REJECTED * read
    ]
    return f"many rows were rejected: {', '.join(many)}." if many else None


def _of_notices(connection: sqlite3.Connection, now: datetime) -> str | None:
    notices = status.notices(connection, now)
    if notices is None or not (notices.is_stuck or notices.parked):
        return None
    waits = f"{notices.waiting:,} notices of Eventbrite wait since {notices.waiting_since} UTC"
    parked = f"{notices.parked:,} could not be worked on"
    said = [text for text, is_so in ((waits, notices.is_stuck), (parked, notices.parked)) if is_so]
    return f"{'; '.join(said)}: `make status`."


def _of_listener(settings: Settings, connection: sqlite3.Connection, now: datetime) -> str | None:
    # Eventbrite sends here for as long as our webhooks are there.
    if connection.execute("select 1 from hooks limit 1").fetchone() is None:
        return None
    with suppress(OSError):
        last = datetime.fromtimestamp(sign_of_listener(settings).stat().st_mtime, UTC)
        if now - last > GONE_AFTER:
            return (
                f"the listener is not at work since {as_text(last)} UTC: its log says why."
                " If it is not to be: `python -m webhooks --unregister`."
            )
    return None


def _claimed(connection: sqlite3.Connection, topic: str, is_bad: bool, now: datetime) -> bool | None:
    """Whether it was bad before, where something is to be told now; another process will not tell it too."""
    with connection:
        connection.execute("begin immediate")
        row = connection.execute("select is_bad, told_at from alerts where topic = ?", (topic,)).fetchone()
        was_bad, told_at = (bool(row[0]), row[1]) if row else (False, None)
        # A time that lies ahead is of a clock that was wrong.
        is_recent = told_at is not None and as_text(now - QUIET) < told_at <= as_text(now)
        if is_bad == was_bad or is_recent:
            return None
        connection.execute("insert or replace into alerts values (?, ?, ?)", (topic, is_bad, as_text(now)))
    return was_bad


def _put_back(connection: sqlite3.Connection, topic: str, was_bad: bool, now: datetime) -> None:
    with connection:
        connection.execute("insert or replace into alerts values (?, ?, ?)", (topic, was_bad, as_text(now)))


def _sent(url: str, text: str) -> bool:
    import requests

    try:
        said = {"text": f"boxoffice: {text}"}
        answer = requests.post(url, json=said, timeout=WITHIN, allow_redirects=False)
    except (requests.RequestException, ValueError) as error:  # the latter of an address that is none
        # Its text holds the address, by which anybody could post there.
        logger.warning("ALERT_WEBHOOK_URL cannot be reached (%s).", type(error).__name__)
        return False
    if not 200 <= answer.status_code < 300:
        logger.warning("ALERT_WEBHOOK_URL does not take messages (answer %d).", answer.status_code)
        return False
    return True
