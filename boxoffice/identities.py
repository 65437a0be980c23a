"""Keys once given to venues and people, kept in the ops file so that deleting the warehouse loses none.

identities: one row per record (kind, source, id) with the key that it was last linked to, and when that key
was first given. Rows hold ids and no person's data. `lend` puts them where models read them, `keep` brings
back what a build gave; macros/given_keys.sql says who gets which key.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from boxoffice.ops import Forgotten, Ops, as_text, email_hash

if TYPE_CHECKING:
    import duckdb

KINDS = {"venue": "venue_links", "person": "person_links"}
COLUMNS = "identity_id bigint, kind varchar, source varchar, id varchar, key varchar, given_at timestamp"


def lend(ops: Ops, warehouse: Path, as_of: datetime) -> None:
    """Before a build: make schema `ops` of the warehouse hold every key that was given."""
    # What a build gave that was killed before it could be kept, or that somebody ran by hand.
    keep(ops, warehouse, as_of)
    with _connected(warehouse) as connection:
        connection.begin()
        _copy(ops, connection)
        _void_links(connection)
        connection.commit()


def keep(ops: Ops, warehouse: Path, as_of: datetime) -> None:
    """After a build: take the keys it gave into the ops file.

    Links that were made from other identities than the ops file has now (the warehouse is yesterday's) say
    nothing; but an ops file without any takes what the warehouse has.
    """
    (until,) = _file(ops, "select coalesce(max(identity_id), 0) from identities")[0]
    given: list[tuple[str, str, str, str, str]] = []
    lost: list[tuple[str, str, str]] = []
    with _connected(warehouse) as connection:
        for kind, table in KINDS.items():
            if not _exists(connection, "silver", table) or not _exists(connection, "ops", "built"):
                continue
            made = connection.execute(
                "select identities_until from ops.built where model = ?", [table]
            ).fetchall()
            if until and made != [(until,)]:
                continue
            given += [
                (kind, source, id, key, given_at or as_text(as_of))
                for source, id, key, given_at in connection.execute(
                    f"""
                    select
                        links.source, links.{kind}_id, links.{kind}_key,
                        strftime(keys.given_at, '%Y-%m-%d %H:%M:%S')
                    from silver.{table} as links
                    left join ops.identities as held
                        on held.kind = $kind and held.source = links.source and held.id = links.{kind}_id
                    left join (
                        select key, min(given_at) as given_at from ops.identities
                        where kind = $kind group by key
                    ) as keys on keys.key = links.{kind}_key
                    where $until = 0 or held.key is distinct from links.{kind}_key
                    order by 1, 2
                    """,
                    {"kind": kind, "until": until},
                ).fetchall()
            ]
            if kind == "person" and made:
                lost = [(kind, *row) for row in connection.execute(UNNAMED).fetchall()]
    _write(ops, given, lost)


# Orders and attendees that name nobody any more: that they once did is nobody's business.
UNNAMED = """
    select held.source, held.id from ops.identities as held
    anti join silver.person_links as links on held.source = links.source and held.id = links.person_id
    semi join (
        select 'order-' || order_id as id from silver.stg_eventbrite__orders
        union all
        select 'attendee-' || ticket_id from silver.stg_eventbrite__attendees
    ) as seen on held.id = seen.id
    where held.kind = 'person' and held.source = 'eventbrite'
"""


def forget(ops: Ops, warehouse: Path, emails: Sequence[str]) -> None:
    """Let nothing tell any more which orders, attendees and customers these people were.

    Call it before their e-mails leave the warehouse, which alone knows whose keys are whose. Where it was
    deleted, the keys of all people go: they are given anew by the next build.
    """
    hashes = frozenset(email_hash(email, ops.forgotten().salt) for email in emails)
    people = Forgotten(salt=ops.forgotten().salt, hashes=hashes)
    with _connected(warehouse) as connection:
        if _exists(connection, "silver", "people"):
            known = connection.execute("select person_key, email from silver.people").fetchall()
            theirs = people.matches(email for _, email in known)
            keys = {key for (key, _), is_theirs in zip(known, theirs, strict=True) if is_theirs}
        else:
            keys = {key for (key,) in _file(ops, "select distinct key from identities where kind = 'person'")}
        lost = [
            (kind, source, id)
            for kind, source, id, key in _file(ops, "select kind, source, id, key from identities")
            if (kind == "person" and key in keys) or people.mentioned_in(id)
        ]
        _write(ops, lost=lost)
        connection.begin()
        _copy(ops, connection)
        connection.commit()


def _void_links(connection: "duckdb.DuckDBPyConnection") -> None:
    """Let the next build give all keys anew where links say otherwise: the warehouse is yesterday's, or some
    were forgotten. What is renewed of links relies on the others being as they were given last."""
    if not _exists(connection, "silver", "person_links") or not _exists(connection, "ops", "built"):
        return
    differing = connection.execute(
        """
        select 1 from ops.built
        inner join ops.identities as held on held.identity_id > built.identities_until
        inner join silver.person_links as links on held.source = links.source and held.id = links.person_id
        where built.model = 'person_links' and held.kind = 'person' and held.key <> links.person_key
        limit 1
        """
    ).fetchall()
    if differing:
        connection.execute("delete from ops.built where model = 'person_links'")


def _write(
    ops: Ops,
    given: Iterable[tuple[str, str, str, str, str]] = (),
    lost: Iterable[tuple[str, str, str]] = (),
) -> None:
    # What is overwritten here is gone from the file's bytes too.
    ops.connection.execute("pragma secure_delete = on")
    with ops.connection:
        ops.connection.executemany("delete from identities where kind = ? and source = ? and id = ?", lost)
        ops.connection.executemany(
            "insert or replace into identities (kind, source, id, key, given_at) values (?, ?, ?, ?, ?)",
            given,
        )
    ops.connection.execute("pragma wal_checkpoint(truncate)")


def _copy(ops: Ops, connection: "duckdb.DuckDBPyConnection") -> None:
    """The copy anew, or only what is new since: rows change by getting a new number."""
    import pyarrow as pa

    connection.execute("create schema if not exists ops")
    connection.execute(f"create table if not exists ops.identities ({COLUMNS})")
    connection.execute("create table if not exists ops.customer_salt (value varchar)")
    salt = connection.execute("select value from ops.customer_salt").fetchall()
    count, until = connection.execute(
        "select count(*), coalesce(max(identity_id), 0) from ops.identities"
    ).fetchall()[0]
    held = _file(ops, "select count(*) from identities where identity_id <= ?", until)
    if salt != [(ops.customer_salt,)] or held != [(count,)]:
        until = 0
        connection.execute("delete from ops.identities")
        if _exists(connection, "ops", "built"):
            connection.execute("delete from ops.built where model = 'person_links'")
        connection.execute("delete from ops.customer_salt")
        connection.execute("insert into ops.customer_salt values (?)", [ops.customer_salt])
    names = [column.split()[0] for column in COLUMNS.split(", ")]
    rows = _file(
        ops, f"select {', '.join(names)} from identities where identity_id > ? order by identity_id", until
    )
    if rows:
        fresh = pa.table(dict(zip(names, map(pa.array, zip(*rows, strict=True)), strict=True)))
        connection.register("fresh", fresh)
        connection.execute("insert into ops.identities by name select * from fresh")
        connection.unregister("fresh")


def _file(ops: Ops, query: str, *parameters: object) -> list[tuple]:
    return ops.connection.execute(query, parameters).fetchall()


def _connected(warehouse: Path) -> "duckdb.DuckDBPyConnection":
    import duckdb

    return duckdb.connect(str(warehouse))


def _exists(connection: "duckdb.DuckDBPyConnection", schema: str, table: str) -> bool:
    return bool(
        connection.execute(
            "select 1 from duckdb_tables() where schema_name = ? and table_name = ?", [schema, table]
        ).fetchall()
    )
