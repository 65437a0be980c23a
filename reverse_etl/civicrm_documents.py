"""The orders that a CiviCRM site should hold, from the sync models: one document per order, told by a
fingerprint, so that only those that changed are looked at."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from boxoffice.build import SyncModel
from reverse_etl.civicrm_state import Attendee, Order, Policies, in_order

# Another number has every order looked at again: after a change of what is written for one.
RULES = 1
FETCHED = 500  # orders at a time
LONGEST_EMAIL = 254  # characters that CiviCRM takes
OF_ATTENDEE = [each.name for each in fields(Attendee)]
OF_ORDER = [each.name for each in fields(Order) if each.name not in ("attendees", "is_known", "fingerprint")]
# When a row last changed says nothing of what it says.
UNTOLD = ("changed_at",)


@dataclass(frozen=True)
class Told:
    """An order as far as the run has to know it before it is read."""

    order_id: str
    fingerprint: str
    civicrm_event: str


@contextmanager
def opened(warehouse: Path, models: Sequence[SyncModel], policies: Policies) -> "Iterator[Documents]":
    """Reads the warehouse, which stays as it is."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        tables = {model.thing: f'"{model.schema}"."{model.alias}"' for model in models}
        yield Documents(connection, tables, policies)


class Documents:
    def __init__(
        self, connection: duckdb.DuckDBPyConnection, tables: Mapping[str, str], policies: Policies
    ) -> None:
        self._connection, self._tables = connection, tables
        self._stamp = hashlib.sha256(f"{RULES} {policies}".encode()).hexdigest()

    def all(self) -> list[Told]:
        """Every order, by its id."""
        told_order = _told("orders", [name for name in OF_ORDER if name not in UNTOLD])
        told_attendee = _told("attendees", [name for name in OF_ATTENDEE if name not in UNTOLD])
        query = f"""
            with seats as (
                select
                    order_id,
                    min(civicrm_event) as civicrm_event,
                    string_agg({told_attendee}, chr(10) order by attendee_id) as said
                from {self._tables["attendees"]} as attendees
                group by order_id
            )
            select
                coalesce(orders.order_id, seats.order_id),
                md5($stamp || coalesce({told_order}, '') || chr(10) || coalesce(seats.said, '')),
                coalesce(orders.civicrm_event, seats.civicrm_event)
            from {self._tables["orders"]} as orders
            full join seats on orders.order_id = seats.order_id
            where coalesce(orders.order_id, seats.order_id) is not null
        """
        found = self._connection.execute(query, {"stamp": self._stamp}).fetchall()
        return sorted((Told(*row) for row in found), key=lambda each: in_order(each.order_id))

    def orders(self, told: Sequence[Told]) -> Iterator[Order]:
        """The whole orders, in the order given."""
        for start in range(0, len(told), FETCHED):
            some = told[start : start + FETCHED]
            ids = [each.order_id for each in some]
            known = {row["order_id"]: row for row in self._rows("orders", OF_ORDER, ids)}
            seats: dict[str, list[Attendee]] = {}
            for row in self._rows("attendees", OF_ATTENDEE, ids):
                seats.setdefault(row["order_id"], []).append(Attendee(**_filled(row)))
            for each in some:
                mine = sorted(seats.get(each.order_id, ()), key=lambda seat: in_order(seat.attendee_id))
                order = Order(each.order_id, each.civicrm_event, is_known=False)
                if each.order_id in known:
                    order = Order(**_filled(known[each.order_id]))
                yield replace(order, attendees=tuple(mine), fingerprint=each.fingerprint)

    def attendees(self, ids: Collection[str]) -> list[Attendee]:
        """Attendees by their ids, in whatever order, unless they are gone."""
        rows = self._rows("attendees", OF_ATTENDEE, list(ids), "attendee_id") if ids else []
        return [Attendee(**_filled(row)) for row in rows if not row["is_gone"]]

    def elsewhere(self, attendees: Collection[str], order_id: str) -> set[str]:
        """Of attendees, those that are in another order, or were there last."""
        self._lend(list(attendees))
        query = f"""
            select attendee_id from {self._tables["attendees"]}
            where attendee_id in (select id from _lent_ids) and order_id <> ?
        """
        return {key for (key,) in self._connection.execute(query, [order_id]).fetchall()}

    def gone(self) -> set[str]:
        """Attendees that Eventbrite does not list any more."""
        query = f"select attendee_id from {self._tables['attendees']} where is_gone"
        return {key for (key,) in self._connection.execute(query).fetchall()}

    def named(self) -> set[str] | None:
        """The cells of civicrm_events.csv that name an event; None where nothing tells."""
        table = "schema_name = 'silver' and table_name = 'int_eventbrite__mapped_events'"
        kinds = f"select 1 from duckdb_tables() where {table} union all select 1 from duckdb_views() where "
        views = "schema_name = 'silver' and view_name = 'int_eventbrite__mapped_events'"
        if not self._connection.execute(kinds + views).fetchall():
            return None
        query = "select distinct eventbrite_event from silver.int_eventbrite__mapped_events"
        return {cell for (cell,) in self._connection.execute(query).fetchall()}

    def missing(self, keys: Collection[str]) -> list[str]:
        """Of ids of orders and attendees, those that are in no model any more."""
        self._lend(list(keys))
        query = f"""
            select id from _lent_ids
            where
                id not in (select order_id from {self._tables["orders"]})
                and id not in (select attendee_id from {self._tables["attendees"]})
        """
        return [key for (key,) in self._connection.execute(query).fetchall()]

    def _rows(
        self, thing: str, names: Sequence[str], ids: Sequence[str], key: str = "order_id"
    ) -> list[dict[str, Any]]:
        self._lend(ids)
        query = f"""
            select {", ".join(names)} from {self._tables[thing]} as things
            where {key} in (select id from _lent_ids)
        """
        return self._connection.execute(query).to_arrow_table().to_pylist()

    def _lend(self, ids: Sequence[str]) -> None:
        self._connection.register("_lent", pa.table({"id": pa.array(ids, pa.string())}))
        self._connection.execute("create or replace temp table _lent_ids as select * from _lent")
        self._connection.unregister("_lent")


def _told(table: str, names: Sequence[str]) -> str:
    """All that a row says, as one text; null for no row."""
    parts = ", ".join(f"'{name}': {table}.{name}" for name in names)
    return f"case when {table}.order_id is not null then cast(to_json({{{parts}}}) as varchar) end"


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without what it leaves blank."""
    # An address that does not fit would be another one when it is cut.
    has_room = len(row.get("email") or "") <= LONGEST_EMAIL
    return {
        name: value
        for name, value in row.items()
        if value is not None and value != "" and (has_room or name != "email")
    }
