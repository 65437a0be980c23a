"""How it is: what ran, how fresh each source is, what was refused, what the APIs were asked. Reads only."""

import os
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from boxoffice import lock, ops
from boxoffice.settings import Settings

LAST_RUNS = 5
STUCK_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class Run:
    command: str
    started_at: str  # UTC
    seconds: float | None
    status: str


@dataclass(frozen=True)
class Source:
    """One source: its latest attempt, and the latest one that landed; not what a listener fetches."""

    source: str
    status: str
    tried_at: str  # UTC
    landed_at: str | None  # UTC
    rows_rejected: int | None  # by the latest attempt that counted them


@dataclass(frozen=True)
class Destination:
    """One destination: its latest attempt, and the latest one that wrote. rows_refused: that still are.
    rows_waiting: for what the source does not tell yet."""

    destination: str
    status: str
    tried_at: str  # UTC
    written_at: str | None  # UTC
    rows_refused: int
    rows_waiting: int


@dataclass(frozen=True)
class Calls:
    """Calls that boxoffice made to an API, whatever for. allowed: by whoever runs it."""

    api: str
    last_hour: int
    today: int  # UTC
    this_month: int
    allowed: str


@dataclass(frozen=True)
class Notices:
    """What Eventbrite has told of. waiting: to be worked on. parked: failed too often, and no run has brought
    what they are about since; why: what was wrong with the latest of them."""

    waiting: int
    waiting_since: str | None  # UTC
    is_stuck: bool  # waits for longer than a 404 is asked for again
    parked: int
    why: str | None


@dataclass
class Status:
    """runs: the latest first. notices: None where none ever came. api_errors: failed calls kept.
    marts_written_at: UTC; None without the file."""

    at_work: str | None = None
    runs: list[Run] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    destinations: list[Destination] = field(default_factory=list)
    calls: list[Calls] = field(default_factory=list)
    notices: Notices | None = None
    api_errors: int = 0
    marts_written_at: str | None = None


def read(settings: Settings) -> Status:
    """What the ops file and the marts file tell; needs no lock, so it also answers while a run is at work.

    Raises:
        ConfigurationError: the ops file is damaged, or of another version than this code.
    """
    found = Status(at_work=_at_work(settings.lock_path), marts_written_at=_written_at(settings.marts_path))
    if not settings.ops_path.exists():
        return found
    with ops.opened_to_read(settings.ops_path) as connection:
        found.runs = [
            Run(*row)
            for row in connection.execute(
                # Of the many that a listener makes, the latest.
                "select command, started_at, seconds, status from runs where command <> 'listen'"
                " or run_id = (select max(run_id) from runs where command = 'listen')"
                " order by run_id desc limit ?",
                (LAST_RUNS,),
            )
        ]
        found.sources = [Source(*row) for row in connection.execute(ATTEMPTS.format(steps=SOURCES))]
        kept = {name: counts for name, *counts in connection.execute(KEPT)}
        for step, status, tried_at, written_at, _ in connection.execute(ATTEMPTS.format(steps=DESTINATIONS)):
            name = step.removeprefix("sync ")
            refused, waiting = kept.get(name, (0, 0))
            found.destinations.append(Destination(name, status, tried_at, written_at, refused, waiting))
        found.calls = [
            Calls(api, hour, today, month, ALLOWED[api])
            for api, hour, today, month in connection.execute(CALLS)
        ]
        found.notices = notices(connection, datetime.now(UTC))
        found.api_errors = connection.execute("select count(*) from api_errors").fetchone()[0]
    return found


def notices(connection: sqlite3.Connection, now: datetime) -> Notices | None:
    """What is to be told of the notices; None where none ever came."""
    if connection.execute("select 1 from inbox limit 1").fetchone() is None:
        return None
    stuck = ops.as_text(now - STUCK_AFTER)
    waiting, since, is_stuck, parked, why = connection.execute(NOTICES, (stuck,)).fetchone()
    return Notices(waiting, since, bool(is_stuck), parked, why)


# A step of `ingest` is called like its source; one that writes back, `sync` and its destination.
SOURCES = "steps.step in ('eventbrite', 'sheets', 'airtable') and runs.command <> 'listen'"
DESTINATIONS = "steps.step like 'sync %'"
# What G6 holds back needs nobody: it waits for a name or an e-mail.
KEPT = """
select destination, sum(rule_id <> 'G6'), sum(rule_id = 'G6')
from rejected_rows where resolved_at is null group by destination
"""
# Airtable counts what is read and what is written together.
CALLS = """
select
    replace(steps.step, 'sync ', '') as api,
    coalesce(sum(case when runs.started_at >= datetime('now', '-1 hour') then steps.requests end), 0),
    coalesce(sum(case when runs.started_at >= date('now') then steps.requests end), 0),
    coalesce(sum(case when runs.started_at >= date('now', 'start of month') then steps.requests end), 0)
from steps
inner join runs using (run_id)
where
    runs.started_at >= min(date('now', 'start of month'), datetime('now', '-1 hour'))
    and api in ('eventbrite', 'airtable', 'civicrm')
    and steps.requests > 0
group by api
order by api
"""
ALLOWED = {
    "airtable": "1,000 a month on the Free plan, 100,000 on Team",
    "civicrm": "as many as the site bears",
    "eventbrite": "2,000 an hour",
}
ATTEMPTS = """
with attempts as (
    select
        steps.step,
        steps.status,
        runs.command not in ('plan', 'bootstrap') as is_earnest,
        runs.started_at,
        steps.rows_rejected,
        row_number() over (partition by steps.step order by steps.run_id desc) as place
    from steps
    inner join runs using (run_id)
    where {steps} and steps.status <> 'skipped'
)

select
    step,
    max(case when place = 1 then status end),
    max(case when place = 1 then started_at end),
    max(case when status in ('ok', 'partial') and is_earnest then started_at end),
    max(case when place = 1 then rows_rejected end)
from attempts
group by step
order by step
"""

# A run brings whatever changed, so what was parked before it is no longer missing.
NOTICES = """
with brought as (
    select coalesce(max(runs.started_at), '') as at
    from steps
    inner join runs using (run_id)
    where steps.step = 'eventbrite' and steps.status = 'ok' and runs.command <> 'listen'
),

parked as (
    select inbox.* from inbox cross join brought
    where inbox.state = 'parked' and inbox.settled_at > brought.at
)

select
    count(*) as waiting,
    substr(min(received_at), 1, 19) as waiting_since,
    min(received_at) < ? as is_stuck,
    (select count(*) from parked) as parked,
    (select error from parked order by settled_at desc limit 1) as why
from inbox where settled_at is null
"""


def _at_work(path: Path) -> str | None:
    holder = lock.holder(path)
    if holder is None:
        return None
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return None  # it was killed; its name stays in the file
    except PermissionError:
        pass  # somebody else's process
    return str(holder)


def _written_at(path: Path) -> str | None:
    try:
        moment = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None
    return f"{moment:%Y-%m-%d %H:%M:%S}"
