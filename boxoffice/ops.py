"""The ops file: what no source can bring back. One SQLite file in WAL mode, beside the warehouse.

runs: one row per command. steps: one per step of a run. api_errors: one per failed call, kept RETENTION_DAYS.
forgotten: one salted hash per person who asked to be left out. airtable_keys: one per Airtable record that
boxoffice keeps; is_adopted where people had made it. journal: one per write to a destination, with what it is
about until it is answered; of one to CiviCRM the decision's rule, the record, and what changed stay for
RETENTION_DAYS. civicrm_links: one per attendee and participant, order and contribution, or attendee and the
contact made for one whose participant is to come; those of before have unlinked_at. civicrm_orders: one per
order, with the document that the site last came to be as. sent_rows: one per row that a destination holds as
far as we know, with the cells that were sent; in the fields of `theirs` stands what people had written before
the row was ours. bindings: one per model, and per column, with what it was last bound to. rejected_rows: one
per row that was refused. identities: one per record of a source that is a venue or tells of a person, see
identities.py. inbox: one per notice that Eventbrite sent, whole but for the secret of its address; kept
RETENTION_DAYS once settled. hooks: one per webhook at Eventbrite that is ours. alerts: one per
topic that was told of, with what was told last. tests: one per test of the last TESTED_RUNS builds that ran
it.
"""

import glob
import hashlib
import json
import os
import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from boxoffice.errors import LONGEST_TEXT, BoxofficeError, ConfigurationError, FailedCall, explained

Error = sqlite3.Error

# In place of a cell that was sent, where nobody knows what the destination holds by now.
IN_DOUBT = {"in_doubt": True}

# Migration n brings a file from version n to n + 1. Never edit one that was released: add the next.
MIGRATIONS = (
    """
    create table runs (
        run_id integer primary key autoincrement,
        command text not null,
        as_of text not null,
        is_sandbox integer not null,
        pid integer not null,
        started_at text not null,
        ended_at text,
        seconds real,
        status text not null default 'running',
        exit_code integer
    );
    create table steps (
        run_id integer not null references runs (run_id),
        position integer not null,
        step text not null,
        status text not null,
        rows_read integer,
        rows_changed integer,
        rows_rejected integer,
        seconds real not null,
        primary key (run_id, position)
    );
    create table api_errors (
        api_error_id integer primary key autoincrement,
        run_id integer references runs (run_id),
        failed_at text not null,
        system text not null,
        rule_id text not null,
        request text,
        response text,
        stack text
    );
    create table forgotten (email_hash text primary key, added_at text not null);
    create table salt (value text not null);
    """,
    """
    create table airtable_keys (
        base_id text not null,
        table_id text not null,
        key text not null,
        record_id text not null,
        written_at text not null,
        primary key (base_id, table_id, key)
    );
    """,
    "alter table steps add column requests integer;",
    """
    create table identities (
        identity_id integer primary key autoincrement,
        kind text not null,
        source text not null,
        id text not null,
        key text not null,
        given_at text not null,
        unique (kind, source, id)
    );
    create table tests (
        run_id integer not null references runs (run_id),
        test text not null,
        table_name text,
        severity text not null,
        status text not null,
        rows_failed integer,
        primary key (run_id, test)
    );
    """,
    """
    alter table airtable_keys add column is_adopted integer not null default 0;
    create table journal (
        call_id integer primary key autoincrement,
        run_id integer not null,
        destination text not null,
        base_id text not null,
        table_id text not null,
        table_name text not null,
        operation text not null,
        row_count integer not null,
        rows text,
        state text not null default 'sent',
        sent_at text not null,
        answered_at text
    );
    create table sent_rows (
        destination text not null,
        base_id text not null,
        table_id text not null,
        key text not null,
        fingerprint text,
        fields text not null,
        theirs text not null,
        sent_at text not null,
        primary key (destination, base_id, table_id, key)
    );
    create table bindings (
        destination text not null,
        base_id text not null,
        model text not null,
        column_name text not null,
        word text not null,
        id text not null,
        reconciled_at text,
        generation integer not null,
        primary key (destination, base_id, model, column_name)
    );
    create table rejected_rows (
        destination text not null,
        base_id text not null,
        table_id text not null,
        table_name text not null,
        key text not null,
        field text,
        value text,
        rule_id text not null,
        reason text not null,
        remedy text not null,
        run_id integer not null,
        first_seen_at text not null,
        last_seen_at text not null,
        resolved_at text,
        primary key (destination, base_id, table_id, key)
    );
    """,
    """
    alter table journal add column rule_id text;
    alter table journal add column record_id text;
    alter table journal add column changes text;
    create table civicrm_links (
        link_id integer primary key autoincrement,
        base_id text not null,
        kind text not null,
        source_id text not null,
        order_id text not null,
        contact_id integer,
        record_id integer not null,
        linked_at text not null,
        unlinked_at text,
        why text
    );
    create unique index civicrm_links_live on civicrm_links (base_id, kind, source_id)
    where unlinked_at is null;
    create index civicrm_links_of_order on civicrm_links (base_id, order_id);
    create table civicrm_orders (
        base_id text not null,
        order_id text not null,
        fingerprint text,
        changed_at text,
        primary_attendee text,
        settled_at text,
        primary key (base_id, order_id)
    );
    """,
    "create index civicrm_links_of_contact on civicrm_links (base_id, kind, contact_id);",
    "alter table civicrm_orders add column said text;",
    """
    drop index civicrm_links_of_order;
    create index civicrm_links_of_order on civicrm_links (base_id, order_id, kind);
    create index civicrm_links_of_source on civicrm_links (base_id, source_id, kind);
    create index journal_unanswered on journal (destination, base_id) where state = 'sent';
    """,
    """
    create table inbox (
        notice_id integer primary key autoincrement,
        received_at text not null,
        headers text not null,
        body blob not null,
        action text,
        object_type text,
        object_id text,
        parent_id text,
        state text not null,
        attempts integer not null default 0,
        not_before text,
        error text,
        api_error_id integer,
        settled_at text,
        run_id integer
    );
    create index inbox_waiting on inbox (object_type, object_id) where settled_at is null;
    create index inbox_settled on inbox (settled_at) where settled_at is not null;
    create table hooks (hook_id text primary key, organization_id text not null, made_at text not null);
    """,
    "create table alerts (topic text primary key, is_bad integer not null, told_at text not null);",
)
TESTED_RUNS = 100

# What schema `ops` of the warehouse shows: no request, no response, no cell, no hash of a person.
REPORTED = {
    "runs": (
        "run_id bigint, command varchar, as_of timestamp, is_sandbox boolean, started_at timestamp,"
        " ended_at timestamp, seconds double, status varchar, exit_code integer"
    ),
    "steps": (
        "run_id bigint, position integer, step varchar, status varchar, rows_read bigint,"
        " rows_changed bigint, rows_rejected bigint, seconds double, requests bigint"
    ),
    "api_errors": "api_error_id bigint, run_id bigint, failed_at timestamp, system varchar, rule_id varchar",
    "airtable_keys": (
        "base_id varchar, table_id varchar, key varchar, record_id varchar, written_at timestamp"
    ),
    "tests": (
        "run_id bigint, test varchar, table_name varchar, severity varchar, status varchar,"
        " rows_failed bigint"
    ),
    "journal": (
        "call_id bigint, run_id bigint, destination varchar, base_id varchar, table_name varchar,"
        " operation varchar, row_count bigint, state varchar, sent_at timestamp, answered_at timestamp,"
        " rule_id varchar"
    ),
    "rejected_rows": (
        "destination varchar, base_id varchar, table_name varchar, key varchar, field varchar,"
        " rule_id varchar, reason varchar, remedy varchar, run_id bigint, first_seen_at timestamp,"
        " last_seen_at timestamp, resolved_at timestamp"
    ),
}
SHOWN_CALLS = 10_000  # a first run makes more than anybody reads, and each command's end copies them
SHOWN_BATCHES = 1_000  # likewise of a listener, which makes some thousands a day
# Models take what is there for what boxoffice made: a record that people had made stays a source.
_LATE = f"run_id > (select max(run_id) from runs) - {SHOWN_BATCHES}"
SHOWN_IF = {
    "runs": f"(command <> 'listen' or {_LATE})",
    "steps": f"({_LATE} or run_id in (select run_id from runs where command <> 'listen'))",
    "airtable_keys": "not is_adopted",
    "journal": f"call_id > (select max(call_id) from journal) - {SHOWN_CALLS}",
}


# What could be an e-mail, in the syntax that Python and DuckDB share.
EMAIL = r"[^\s\"<>()\[\],;:|\\@]+@[^\s\"<>()\[\],;:|\\@]+"
_EMAIL = re.compile(EMAIL)


@dataclass(frozen=True)
class Forgotten:
    """The people who asked to be forgotten, known by the salted hash of their e-mail only."""

    salt: bytes
    hashes: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.hashes)

    def matches(self, emails: Iterable[str | None]) -> list[bool]:
        """For each e-mail, in order, whether its owner asked to be forgotten. No e-mail, no match."""
        if not self.hashes:
            return [False for _ in emails]
        return [bool(email) and email_hash(email, self.salt) in self.hashes for email in emails]

    def mentioned_in(self, text: str | None) -> bool:
        """Whether the text is, or somewhere holds, the e-mail of one of them."""
        if not self.hashes or not text or "@" not in text:
            return False
        return any(self.matches({text, *(form for found in _EMAIL.findall(text) for form in _forms(found))}))


def _may_name(forgotten: Forgotten, texts: Iterable[str | None]) -> bool:
    # Of an answer that was cut, nobody knows whom the rest named.
    return bool(forgotten) and any(
        forgotten.mentioned_in(text) or len(text or "") >= LONGEST_TEXT for text in texts
    )


def _forms(found: str) -> set[str]:
    """What the e-mail may be: all of it; without the stops and quotes around it; without a name before it."""
    plain = found.strip(".'`*_!?/{}")
    return {found, plain, re.split(r"[=/&?#]", plain)[-1]}


def email_hash(email: str | None, salt: bytes) -> str:
    """The salted hash of an e-mail, the same however its case and outer spaces are written."""
    normalised = (email or "").strip().casefold().encode()
    return hashlib.blake2b(normalised, key=salt, digest_size=16).hexdigest()


class Ops:
    """An open ops file. Every method is one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def begin_run(self, command: str, as_of: datetime, *, is_sandbox: bool) -> int:
        """Record that a run began, and close the record of one that was killed. Needs the lock."""
        with self.connection:
            self.connection.execute("update runs set status = 'killed' where status = 'running'")
            cursor = self.connection.execute(
                "insert into runs (command, as_of, is_sandbox, pid, started_at) values (?, ?, ?, ?, ?)",
                (command, as_text(as_of), is_sandbox, os.getpid(), _now()),
            )
        return int(cursor.lastrowid or 0)

    def end_run(self, run_id: int, *, status: str, exit_code: int, seconds: float) -> None:
        with self.connection:
            self.connection.execute(
                "update runs set status = ?, exit_code = ?, seconds = ?, ended_at = ? where run_id = ?",
                (status, exit_code, seconds, _now(), run_id),
            )

    def add_step(
        self,
        run_id: int,
        step: str,
        *,
        status: str,
        seconds: float,
        rows: tuple[int | None, int | None, int | None],
        requests: int | None = None,
    ) -> None:
        """Record a finished step. `rows`: read, changed, rejected; None where a step has no such count.

        Args:
            requests: calls made to the source's API.
        """
        with self.connection:
            self.connection.execute(
                "insert into steps"
                " (run_id, position, step, status, rows_read, rows_changed, rows_rejected, seconds, requests)"
                " select ?, 1 + count(*), ?, ?, ?, ?, ?, ?, ? from steps where run_id = ?",
                (run_id, step, status, *rows, seconds, requests, run_id),
            )

    def add_tests(self, run_id: int, tests: Iterable[tuple[str, str | None, str, str, int | None]]) -> None:
        """Record what came of tests: name, table it tests (None: several), severity, status, rows that broke
        it. Those of older runs than the last TESTED_RUNS go."""
        with self.connection:
            self.connection.executemany(
                "insert or replace into tests values (?, ?, ?, ?, ?, ?)",
                [(run_id, *test) for test in tests],
            )
            self.connection.execute(
                "delete from tests where run_id not in"
                " (select distinct run_id from tests order by run_id desc limit ?)",
                (TESTED_RUNS,),
            )

    def failed_tests(self) -> set[str]:
        """The tests of error severity that failed when they last could be run."""
        rows = self.connection.execute(
            "select test from tests as latest where severity = 'error' and status in ('fail', 'error')"
            " and run_id = (select max(run_id) from tests where test = latest.test and status <> 'skipped')"
        )
        return {test for (test,) in rows}

    def add_api_error(self, run_id: int | None, system: str, call: FailedCall) -> int:
        """Keep a failed call for RETENTION_DAYS. Returns the id that people are shown."""
        texts = (call.request, call.response, call.stack)
        if _may_name(self.forgotten(), texts):
            texts = ("", "", "")
        with self.connection:
            cursor = self.connection.execute(
                "insert into api_errors (run_id, failed_at, system, rule_id, request, response, stack)"
                " values (?, ?, ?, ?, ?, ?, ?)",
                (run_id, as_text(call.failed_at), system, call.rule_id, *texts),
            )
        return int(cursor.lastrowid or 0)

    def drop_old(self, retention_days: int) -> None:
        """Drop failed calls, answered writes, settled notices, what a listener did and rejected rows that
        have gone, older than RETENTION_DAYS; of writes that are not answered, what they changed."""
        before = as_text(datetime.now(UTC) - timedelta(days=retention_days))
        with self.connection:
            self.connection.execute("delete from api_errors where failed_at < ?", (before,))
            self.connection.execute("delete from journal where answered_at < ?", (before,))
            stale = "update journal set changes = null where changes is not null and sent_at < ?"
            self.connection.execute(stale, (before,))
            self.connection.execute("delete from rejected_rows where resolved_at < ?", (before,))
            self.connection.execute("delete from inbox where settled_at < ?", (before,))
            # Some thousands a day, where a run is one. The latest run stays: the warehouse is known by it.
            old = "command = 'listen' and started_at < ? and run_id < (select max(run_id) from runs)"
            for table in ("steps", "tests"):
                of_old = f"delete from {table} where run_id in (select run_id from runs where {old})"
                self.connection.execute(of_old, (before,))
            self.connection.execute(f"delete from runs where {old}", (before,))

    def forgotten(self) -> Forgotten:
        hashes = self.connection.execute("select email_hash from forgotten").fetchall()
        return Forgotten(salt=self._salt(), hashes=frozenset(row[0] for row in hashes))

    def forget(self, emails: Sequence[str]) -> int:
        """Add people to forget. Failed calls, rejected rows and notices that name one lose their texts. Of
        rows that destinations hold all cells are in doubt then: the next sync sends what is left of them.
        What the journal tells of changes goes whole: a name or a street need not stand beside its e-mail.
        Returns how many people were new."""
        salt = self._salt()
        # What is overwritten here is gone from the file's bytes too.
        self.connection.execute("pragma secure_delete = on")
        with self.connection:
            before = self.connection.total_changes
            self.connection.executemany(
                "insert or ignore into forgotten values (?, ?)",
                [(email_hash(email, salt), _now()) for email in emails],
            )
            new = self.connection.total_changes - before
            forgotten = self.forgotten()
            kept = self.connection.execute("select api_error_id, request, response, stack from api_errors")
            naming = [(key,) for key, *texts in kept if _may_name(forgotten, texts)]
            self.connection.executemany(
                "update api_errors set request = '', response = '', stack = '' where api_error_id = ?", naming
            )
            held = self.connection.execute("select rowid, fields from sent_rows").fetchall()
            doubts = [
                (json.dumps(dict.fromkeys(json.loads(cells), IN_DOUBT)), key)
                for key, cells in held
                if forgotten.mentioned_in(cells)
            ]
            self.connection.executemany(
                "update sent_rows set fields = ?, fingerprint = null where rowid = ?", doubts
            )
            self.connection.execute("update journal set changes = null where changes is not null")
            values = self.connection.execute("select rowid, value from rejected_rows").fetchall()
            naming = [(key,) for key, value in values if forgotten.mentioned_in(value)]
            self.connection.executemany("update rejected_rows set value = null where rowid = ?", naming)
            # Eventbrite's own notices name nobody; what else was sent may.
            with_at = (
                "select notice_id, headers, body from inbox where instr(headers, '@') or instr(body, x'40')"
            )
            naming = [
                (key,)
                for key, headers, body in self.connection.execute(with_at).fetchall()
                if forgotten.mentioned_in(headers) or forgotten.mentioned_in(body.decode("utf-8", "replace"))
            ]
            self.connection.executemany(
                "update inbox set headers = '{}', body = x'' where notice_id = ?", naming
            )
        self.connection.execute("pragma wal_checkpoint(truncate)")
        return new

    def reported(self) -> Iterator[tuple[str, str, list[tuple[Any, ...]]]]:
        """Table, its columns with DuckDB types, and its rows, for each table the warehouse shows."""
        for table, columns in REPORTED.items():
            names = ", ".join(column.split()[0] for column in columns.split(","))
            shown = f"select {names} from {table} where {SHOWN_IF.get(table, 'true')}"
            yield table, columns, self.connection.execute(shown).fetchall()

    @property
    def customer_salt(self) -> str:
        """What hashes of people are made with in the warehouse. The salt itself stays in this file."""
        return hashlib.blake2b(b"customers", key=self._salt(), digest_size=16).hexdigest()

    def _salt(self) -> bytes:
        return bytes.fromhex(self.connection.execute("select value from salt").fetchone()[0])


@contextmanager
def opened(path: Path) -> Iterator[Ops]:
    """The ops file at `path`, made or migrated as needed. Needs the lock.

    Raises:
        ConfigurationError: it is damaged, or newer than this code.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_private(path)
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        try:
            connection.execute("pragma journal_mode = wal")
            _migrate(connection, path)
        except sqlite3.DatabaseError as error:
            if "not a database" not in str(error) and "malformed" not in str(error):
                raise explained(error, path) or error from error
            raise _damaged(path, error) from error
        yield Ops(connection)


@contextmanager
def opened_to_read(path: Path) -> Iterator[sqlite3.Connection]:
    """The ops file at `path`, which must exist, as it is. Needs no lock.

    Raises:
        ConfigurationError: it is damaged, or of another version than this code.
    """
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            version = connection.execute("pragma user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise _damaged(path, error) from error
        if version > len(MIGRATIONS):
            raise _newer(path, version)
        if version < len(MIGRATIONS):
            raise ConfigurationError(f"{path} was written by an older boxoffice.", "The next run updates it.")
        yield connection


def remove_copies(path: Path) -> int:
    """Remove the copies of the ops file at `path` that migrations left: failed calls there name people.
    Returns how many there were."""
    copies = list(path.parent.glob(f"{glob.escape(path.name)}.v*.bak"))
    for copy in copies:
        for file in (copy, *(copy.with_name(f"{copy.name}-{log}") for log in ("wal", "shm", "journal"))):
            file.unlink(missing_ok=True)
    return len(copies)


def _damaged(path: Path, error: sqlite3.Error) -> ConfigurationError:
    return ConfigurationError(
        f"{path} is damaged: {error}.",
        f"Put back a copy, or move it away to start without its history (see {path.name}.v*.bak).",
    )


def _newer(path: Path, version: int) -> ConfigurationError:
    return ConfigurationError(
        f"{path} was written by a newer boxoffice (schema {version}; this one knows {len(MIGRATIONS)}).",
        "Update boxoffice, or point DATABASE_URL at another folder.",
    )


def copy_to_warehouse(ops: Ops, warehouse: Path) -> None:
    """Renew schema `ops` of the DuckDB warehouse from the ops file."""
    import duckdb
    import pyarrow as pa

    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("begin")
        connection.execute("create schema if not exists ops")
        for table, columns, rows in ops.reported():
            pairs = [column.split() for column in columns.split(",")]
            fetched = pa.table(
                {name: pa.array([row[place] for row in rows]) for place, (name, _) in enumerate(pairs)}
            )
            connection.register("fetched", fetched)
            typed = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in pairs)
            connection.execute(f"create or replace table ops.{table} as select {typed} from fetched")
            connection.unregister("fetched")
        connection.execute("commit")


def notice_older_file(ops: Ops, warehouse: Path) -> bool:
    """When the warehouse tells of a run that this file does not know, an older file was put back (or a new
    one made): what destinations hold by now has to be read again before anything is sent to them.

    Returns:
        Whether that is so. It is until `copy_to_warehouse`.
    """
    import duckdb

    with duckdb.connect(str(warehouse), read_only=True) as connection:
        shown = "select 1 from duckdb_tables() where schema_name = 'ops' and table_name = 'runs'"
        if not connection.execute(shown).fetchall():
            return False
        latest = "select run_id, started_at::varchar from ops.runs order by run_id desc limit 1"
        for run in connection.execute(latest).fetchall():
            known = "select 1 from runs where run_id = ? and started_at = ?"
            if ops.connection.execute(known, run).fetchone() is None:
                with ops.connection:
                    ops.connection.execute("update bindings set reconciled_at = null")
                return True
        return False


def _make_private(path: Path) -> None:
    # It names failed calls and what was sent of people, and holds the salt: nobody else's business.
    # One that is there is not touched: closing it would take SQLite's locks from whatever else has it open in
    # this process, and another process would then take away the log that is being written to.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("pragma user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise _newer(path, version)
    if 0 < version < len(MIGRATIONS):
        backup = path.with_name(f"{path.name}.v{version}.bak")
        _make_private(backup)
        with closing(sqlite3.connect(backup)) as copy:
            connection.backup(copy)
    for number in range(version, len(MIGRATIONS)):
        salt = f"insert into salt values ('{secrets.token_hex(16)}');" if number == 0 else ""
        try:
            connection.executescript(
                f"begin immediate; {MIGRATIONS[number]} {salt} pragma user_version = {number + 1}; commit;"
            )
        except sqlite3.OperationalError as error:
            connection.rollback()
            if "disk" in str(error) or "readonly" in str(error):
                raise
            raise BoxofficeError(
                f"{path} could not be brought from schema {number} to {number + 1}: {error}.",
                "The copy made before lies beside it.",
            ) from error


def _now() -> str:
    return as_text(datetime.now(UTC))


def as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
