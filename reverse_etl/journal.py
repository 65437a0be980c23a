"""What the ops file knows of one destination's base: writes under way, rows sent, their records, rejections.

Every method is one transaction, so a kill at any moment leaves either what was before it or what is after.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from boxoffice.ops import Ops, as_text


@dataclass(frozen=True)
class Row:
    """A row as a destination holds it by now. cells: by field id; those in doubt are not there."""

    key: str
    cells: Mapping[str, Any]
    fingerprint: str | None = None
    record: str | None = None


@dataclass(frozen=True)
class Call:
    """A write that was sent and not answered. rows: key to the fields it sets."""

    call_id: int
    table_id: str
    operation: str
    rows: dict[str, list[str]]


@dataclass(frozen=True)
class Rejection:
    """Why a row is not there, and what to do. value: what the field could not hold."""

    key: str
    rule: str
    reason: str
    remedy: str
    field: str | None = None
    value: Any = None


class Journal:
    """The journal of one base."""

    def __init__(self, ops: Ops, destination: str, base_id: str, run_id: int) -> None:
        self._sql, self._run_id = ops.connection, run_id
        self._base = (destination, base_id)

    # -- rows and their records

    def records(self, table_id: str) -> dict[str, str]:
        """Key to record id, of every row that has one."""
        query = "select key, record_id from airtable_keys where base_id = ? and table_id = ?"
        return dict(self._sql.execute(query, (self._base[1], table_id)))

    def adopted(self, table_id: str) -> set[str]:
        """Keys of the records that people had made."""
        query = "select key from airtable_keys where base_id = ? and table_id = ? and is_adopted"
        return {key for (key,) in self._sql.execute(query, (self._base[1], table_id))}

    def sent(self, table_id: str) -> list[tuple[str, str | None, str]]:
        """Key, fingerprint and cells (JSON) of every row that was sent."""
        where = "destination = ? and base_id = ? and table_id = ?"
        query = f"select key, fingerprint, fields from sent_rows where {where}"
        return self._sql.execute(query, (*self._base, table_id)).fetchall()

    def keep(self, table_id: str, rows: Iterable[Row], *, is_adopted: bool = False) -> None:
        """Take rows as what the destination holds."""
        with self._sql:
            self._keep(table_id, rows, is_adopted=is_adopted)

    def _keep(self, table_id: str, rows: Iterable[Row], *, is_adopted: bool = False) -> None:
        for row in rows:
            self._sql.execute(
                "insert or replace into sent_rows values (?, ?, ?, ?, ?, ?, ?)",
                (*self._base, table_id, row.key, row.fingerprint, _json(row.cells), _now()),
            )
            if row.record is not None:
                self._sql.execute(
                    "insert into airtable_keys values (?, ?, ?, ?, ?, ?) on conflict do update set"
                    " is_adopted = excluded.is_adopted or (is_adopted and record_id = excluded.record_id),"
                    " record_id = excluded.record_id, written_at = excluded.written_at",
                    (self._base[1], table_id, row.key, row.record, _now(), is_adopted),
                )

    def drop(self, table_id: str, keys: Iterable[str], *, even_sent: bool = True) -> None:
        """The records of these rows are gone. Without `even_sent` the rows still count as sent, so that they
        are not made again."""
        with self._sql:
            self._drop(table_id, keys, even_sent=even_sent)

    def _drop(self, table_id: str, keys: Iterable[str], *, even_sent: bool = True) -> None:
        places = [(self._base[1], table_id, key) for key in keys]
        self._sql.executemany(
            "delete from airtable_keys where base_id = ? and table_id = ? and key = ?", places
        )
        if even_sent:
            self._sql.executemany(
                "delete from sent_rows where destination = ? and base_id = ? and table_id = ? and key = ?",
                [(self._base[0], *place) for place in places],
            )

    def doubt(self, table_id: str, rows: Mapping[str, Collection[str]]) -> None:
        """Cells (key to field ids) of which nobody knows what they hold now."""
        with self._sql:
            self._doubt(table_id, rows)

    def _doubt(self, table_id: str, rows: Mapping[str, Collection[str]]) -> None:
        where = "destination = ? and base_id = ? and table_id = ? and key = ?"
        for key, fields in rows.items():
            place = (*self._base, table_id, key)
            for (held,) in self._sql.execute(f"select fields from sent_rows where {where}", place).fetchall():
                cells = {each: cell for each, cell in orjson.loads(held).items() if each not in fields}
                self._sql.execute(
                    f"update sent_rows set fields = ?, fingerprint = null where {where}",
                    (_json(cells), *place),
                )

    def look_again(self, table_id: str) -> None:
        """No row of the table counts as unchanged before its cells were compared."""
        with self._sql:
            self._sql.execute(
                "update sent_rows set fingerprint = null"
                " where destination = ? and base_id = ? and table_id = ?",
                (*self._base, table_id),
            )

    # -- writes under way

    def begin(
        self,
        table_id: str,
        table: str,
        operation: str,
        rows: Mapping[str, Iterable[str]],
        *,
        before: Iterable[Row] = (),
    ) -> int:
        """Record that a write is about to be sent. Returns its id.

        Args:
            operation: create, adopt, update or delete. rows: key to the fields it sets.
            before: rows that are to be known from now on, whatever becomes of the write.
        """
        with self._sql:
            self._keep(table_id, before)
            cursor = self._sql.execute(
                "insert into journal (run_id, destination, base_id, table_id, table_name, operation,"
                " row_count, rows, sent_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(self._run_id, *self._base, table_id, table, operation, len(rows)),
                    *(_json({key: list(fields) for key, fields in rows.items()}), _now()),
                ),
            )
        return int(cursor.lastrowid or 0)

    def answered(
        self,
        call_id: int,
        table_id: str,
        *,
        rows: Iterable[Row] = (),
        gone: Iterable[str] = (),
        in_doubt: Mapping[str, Collection[str]] | None = None,
        is_adopted: bool = False,
    ) -> None:
        """Record that a write was done, and what the destination holds since."""
        with self._sql:
            self._keep(table_id, rows, is_adopted=is_adopted)
            self._drop(table_id, gone)
            self._doubt(table_id, in_doubt or {})
            self._close(call_id, "answered")

    def undone(self, call_id: int) -> None:
        """Record that a write changed nothing."""
        with self._sql:
            self._close(call_id, "failed")

    def _close(self, call_id: int, state: str) -> None:
        self._sql.execute(
            "update journal set state = ?, rows = null, answered_at = ? where call_id = ?",
            (state, _now(), call_id),
        )

    def unanswered(self) -> list[Call]:
        """The writes of which nobody knows whether they were done, oldest first."""
        query = (
            "select call_id, table_id, operation, rows from journal"
            " where destination = ? and base_id = ? and state = 'sent' order by call_id"
        )
        return [
            Call(call_id, table_id, operation, orjson.loads(rows))
            for call_id, table_id, operation, rows in self._sql.execute(query, self._base).fetchall()
        ]

    # -- bindings

    def bindings(self) -> dict[tuple[str, str], tuple[str, str]]:
        """Model and column ('' for the table) to the word that was bound, and the id it then meant."""
        query = "select model, column_name, word, id from bindings where destination = ? and base_id = ?"
        found = self._sql.execute(query, self._base)
        return {(model, column): (word, key) for model, column, word, key in found}

    def bind(self, model: str, words: Mapping[str, tuple[str, str]]) -> None:
        """Keep what a model was bound to: column ('' for the table) to word and id. Another table has not
        been reconciled."""
        with self._sql:
            self._sql.executemany(
                "insert into bindings values (?, ?, ?, ?, ?, ?, null) on conflict do update set"
                " word = excluded.word, id = excluded.id,"
                " reconciled_at = case when id = excluded.id then reconciled_at end",
                [(*self._base, model, column, word, key) for column, (word, key) in words.items()],
            )

    def reconciled(self, model: str) -> bool:
        """Whether the table was ever read since it was bound."""
        query = (
            "select 1 from bindings where destination = ? and base_id = ? and model = ?"
            " and column_name = '' and reconciled_at is not null"
        )
        return self._sql.execute(query, (*self._base, model)).fetchone() is not None

    def set_reconciled(self, model: str) -> None:
        with self._sql:
            self._sql.execute(
                "update bindings set reconciled_at = ?"
                " where destination = ? and base_id = ? and model = ? and column_name = ''",
                (_now(), *self._base, model),
            )

    # -- rejected rows

    def rejected(self, table_id: str) -> dict[str, str]:
        """Key to rule of the rows that are rejected still."""
        query = (
            "select key, rule_id from rejected_rows"
            " where destination = ? and base_id = ? and table_id = ? and resolved_at is null"
        )
        return dict(self._sql.execute(query, (*self._base, table_id)))

    def reject(self, table_id: str, table: str, rejections: Iterable[Rejection]) -> None:
        with self._sql:
            self._sql.executemany(
                "insert into rejected_rows values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null)"
                " on conflict do update set table_name = excluded.table_name, field = excluded.field,"
                " value = excluded.value, rule_id = excluded.rule_id, reason = excluded.reason,"
                " remedy = excluded.remedy, run_id = excluded.run_id, last_seen_at = excluded.last_seen_at,"
                " first_seen_at ="
                " case when resolved_at is null then first_seen_at else excluded.first_seen_at end,"
                " resolved_at = null",
                [
                    (
                        *(*self._base, table_id, table, each.key, each.field, _shown(each.value), each.rule),
                        *(each.reason, each.remedy, self._run_id, _now(), _now()),
                    )
                    for each in rejections
                ],
            )

    def resolve(self, table_id: str, keys: Iterable[str]) -> None:
        with self._sql:
            self._sql.executemany(
                "update rejected_rows set resolved_at = ?, value = null where destination = ? and base_id = ?"
                " and table_id = ? and key = ? and resolved_at is null",
                [(_now(), *self._base, table_id, key) for key in keys],
            )

    def told(self, key: str) -> Iterator[dict[str, Any]]:
        """What is known of a row: a dict per table that knows something of it."""
        base_id = self._base[1]
        query = """
            select table_id, record_id, is_adopted, null, null, null, null, null, null, written_at
            from airtable_keys where base_id = :base and key = :key
            union all
            select table_id, null, null, table_name, field, reason, remedy, first_seen_at, resolved_at, null
            from rejected_rows where destination = :destination and base_id = :base and key = :key
        """
        names = (
            *("table_id", "record", "is_adopted", "table", "field", "reason", "remedy"),
            *("rejected_since", "resolved_at", "written_at"),
        )
        found = self._sql.execute(query, {"base": base_id, "key": key, "destination": self._base[0]})
        for row in found:
            yield {name: value for name, value in zip(names, row, strict=True) if value is not None}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _shown(value: Any) -> str | None:
    return None if value is None else str(value)[:200]


def _now() -> str:
    return as_text(datetime.now(UTC))
