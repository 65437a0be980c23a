"""What the ops file knows of one destination's base: writes under way, rows sent, their records, rejections.

Every method is one transaction, so a kill at any moment leaves either what was before it or what is after.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from boxoffice.ops import IN_DOUBT, Ops, as_text


@dataclass(frozen=True)
class Row:
    """A row as a destination holds it by now.

    cells: by field id, what we sent, or IN_DOUBT. theirs: of the fields, those in which people's own cell
    stands, from before the row was ours.
    """

    key: str
    cells: Mapping[str, Any]
    fingerprint: str | None = None
    record: str | None = None
    theirs: Collection[str] = ()

    @property
    def known(self) -> dict[str, Any]:
        """The cells that are not in doubt."""
        return {each: cell for each, cell in self.cells.items() if cell != IN_DOUBT}


@dataclass(frozen=True)
class Call:
    """A write that was sent and not answered. rows: key to the fields it sets."""

    call_id: int
    table_id: str
    operation: str
    rows: dict[str, list[str]]


@dataclass(frozen=True)
class Rejection:
    """Why a row is not there, and what to do. value: what the field could not hold, unless it is personal."""

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

    def sent(self, table_id: str) -> list[tuple[str, str | None]]:
        """Key and fingerprint of every row that was sent."""
        where = "destination = ? and base_id = ? and table_id = ?"
        query = f"select key, fingerprint from sent_rows where {where}"
        return self._sql.execute(query, (*self._base, table_id)).fetchall()

    def row(self, table_id: str, key: str) -> Row:
        """What was sent of a row; nothing of one that was not."""
        where = "destination = ? and base_id = ? and table_id = ? and key = ?"
        query = f"select fields, theirs from sent_rows where {where}"
        found = self._sql.execute(query, (*self._base, table_id, key)).fetchone()
        return Row(key, orjson.loads(found[0]), theirs=orjson.loads(found[1])) if found else Row(key, {})

    def keep(self, table_id: str, rows: Iterable[Row], *, is_adopted: bool = False) -> None:
        """Take rows as what the destination holds."""
        with self._sql:
            self._keep(table_id, rows, is_adopted=is_adopted)

    def _keep(self, table_id: str, rows: Iterable[Row], *, is_adopted: bool = False) -> None:
        moved = 0
        for row in rows:
            self._sql.execute(
                "insert or replace into sent_rows values (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(*self._base, table_id, row.key, row.fingerprint),
                    *(_json(row.cells), _json(list(row.theirs)), _now()),
                ),
            )
            if row.record is not None:
                place = (self._base[1], table_id, row.key)
                query = "select record_id from airtable_keys where base_id = ? and table_id = ? and key = ?"
                moved += self._sql.execute(query, place).fetchone() not in (None, (row.record,))
                self._sql.execute(
                    "insert into airtable_keys values (?, ?, ?, ?, ?, ?) on conflict do update set"
                    " is_adopted = excluded.is_adopted or (is_adopted and record_id = excluded.record_id),"
                    " record_id = excluded.record_id, written_at = excluded.written_at",
                    (*place, row.record, _now(), is_adopted),
                )
        self._move(table_id, moved)

    def lose(self, table_id: str, keys: Iterable[str]) -> None:
        """People deleted the records of these rows, which still count as sent."""
        with self._sql:
            for key in keys:
                self._unlink(table_id, key)
                self._sql.execute(
                    "update sent_rows set fingerprint = null"
                    " where destination = ? and base_id = ? and table_id = ? and key = ?",
                    (*self._base, table_id, key),
                )

    def drop(self, table_id: str, keys: Iterable[str]) -> None:
        """Nothing is known of these rows from now on."""
        with self._sql:
            self._drop(table_id, keys)

    def _drop(self, table_id: str, keys: Iterable[str]) -> None:
        for key in keys:
            self._unlink(table_id, key)
            self._sql.execute(
                "delete from sent_rows where destination = ? and base_id = ? and table_id = ? and key = ?",
                (*self._base, table_id, key),
            )

    def _unlink(self, table_id: str, key: str) -> None:
        self._move(table_id, 1)
        self._sql.execute(
            "delete from airtable_keys where base_id = ? and table_id = ? and key = ?",
            (self._base[1], table_id, key),
        )

    def _move(self, table_id: str, count: int) -> None:
        """Records of the table are others by now, so links to them have to be looked at."""
        if count:
            self._sql.execute(
                "update bindings set generation = generation + 1"
                " where destination = ? and base_id = ? and column_name = '' and id = ?",
                (*self._base, table_id),
            )

    def generations(self, models: Collection[str]) -> str:
        """Another text whenever records of these models' tables have become others."""
        query = (
            "select model, generation from bindings"
            " where destination = ? and base_id = ? and column_name = '' order by model"
        )
        found = self._sql.execute(query, self._base).fetchall()
        return " ".join(f"{model}:{generation}" for model, generation in found if model in models)

    def _doubt(self, table_id: str, rows: Mapping[str, Collection[str]]) -> None:
        where = "destination = ? and base_id = ? and table_id = ? and key = ?"
        for key, fields in rows.items():
            place = (*self._base, table_id, key)
            for (held,) in self._sql.execute(f"select fields from sent_rows where {where}", place).fetchall():
                cells = {**orjson.loads(held), **dict.fromkeys(fields, IN_DOUBT)}
                self._sql.execute(
                    f"update sent_rows set fields = ?, fingerprint = null where {where}",
                    (_json(cells), *place),
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
                "insert into bindings values (?, ?, ?, ?, ?, ?, null, 0) on conflict do update set"
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

    def told(self, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Model and what is known of its row with a key, of each that knows something."""
        models = {key_of: model for (model, column), (_, key_of) in self.bindings().items() if not column}
        for table_id, model in models.items():
            about: dict[str, Any] = {}
            for table, names in (
                ("airtable_keys", "record_id, is_adopted, written_at"),
                ("rejected_rows", "field, reason, remedy, first_seen_at"),
            ):
                where = "base_id = ? and table_id = ? and key = ?"
                where += " and resolved_at is null" if table == "rejected_rows" else ""
                query = f"select {names} from {table} where {where}"
                found = self._sql.execute(query, (self._base[1], table_id, key)).fetchone()
                about |= dict(zip(names.split(", "), found, strict=True)) if found else {}
            if about:
                yield model, about


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _shown(value: Any) -> str | None:
    return None if value is None else str(value)[:200]


def _now() -> str:
    return as_text(datetime.now(UTC))
