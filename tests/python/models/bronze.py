"""Bronze as the ingest leaves it, made by hand: tables by name, rows as dicts.

The shapes are written down a second time here, apart from the ingest's own, so that a change of bronze shows.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

Row = dict[str, Any]

_KEPT = "payload text, payload_hash text, missing_since timestamp, landed_at timestamp"
_TYPES = {"text": pa.string(), "bigint": pa.int64(), "timestamp": pa.timestamp("us")}


def _columns(text: str) -> dict[str, str]:
    return dict(column.strip().split(" ") for column in text.split(","))


EVENTBRITE = {
    name: _columns(text)
    for name, text in {
        "organizations": f"id text, {_KEPT}",
        "events": f"id text, organization_id text, venue_id text, series_id text, changed timestamp, {_KEPT}",
        "venues": f"id text, organization_id text, {_KEPT}",
        "ticket_classes": f"id text, event_id text, organization_id text, {_KEPT}",
        "orders": f"id text, event_id text, organization_id text, changed timestamp, {_KEPT}",
        "attendees": (
            f"id text, order_id text, event_id text, organization_id text, changed timestamp, {_KEPT}"
        ),
        "questions": f"event_id text, id text, organization_id text, {_KEPT}",
        "discounts": f"id text, event_id text, organization_id text, {_KEPT}",
        "orders_history": (
            "id text, changed timestamp, payload_hash text, payload text, landed_at timestamp"
        ),
        "attendees_history": (
            "id text, changed timestamp, payload_hash text, payload text, landed_at timestamp"
        ),
        "listings": (
            "organization_id text, listing text, watermark timestamp, listed_at timestamp, "
            "reconciled_at timestamp"
        ),
    }.items()
}
SHEETS = {
    "artists": "artist_id name genre country created_at",
    "venues": "venue_id name city state country capacity",
    "events": "event_id artist_id venue_id event_date status ticket_price currency",
    "customers": "customer_id name email city state country created_at",
    "tickets": "ticket_id event_id customer_id purchase_datetime channel price_paid currency status",
    "checkins": "checkin_id event_id ticket_id scanned_at gate",
    "refunds": "refund_id ticket_id event_id reason refund_amount refunded_at",
    "campaigns": ("campaign_id event_id channel spend impressions clicks conversions start_date end_date"),
    "locations": "country_id country_code country_name region_id region_code region_name",
    "users": (
        "user_id user_legacy_id name email age country_id region_id region_code region_name signup_date "
        "acquisition_source"
    ),
    "content": "content_id title content_type_name genre_name release_year",
    "subscriptions": "subscription_id user_legacy_id plan_type start_date end_date",
    "payments": "payment_id subscription_id amount currency paid_at",
    "viewing_activity": (
        "activity_id user_legacy_id content_id device_id watched_at duration_watched_sec user_rating"
    ),
}
AIRTABLE = {
    name: _columns(text)
    for name, text in {
        "records": f"table_id text, id text, created_at timestamp, {_KEPT}",
        "fields": (
            "table_id text, table_name text, field_id text, field_name text, type text, options text, "
            "missing_since timestamp, landed_at timestamp"
        ),
        "names": "table_id text, field_id text, name text, landed_at timestamp",
        "mappings": (
            "line bigint, table_id text, role text, column_name text, field_id text, type text, timezone text"
        ),
        "listings": (
            "table_id text, watermark timestamp, listed_at timestamp, reconciled_at timestamp, "
            "schema_hash text, records bigint"
        ),
    }.items()
}
TABLES: dict[str, dict[str, str]] = {
    **{f"bronze_eventbrite.{name}": columns for name, columns in EVENTBRITE.items()},
    **{f"bronze_airtable.{name}": columns for name, columns in AIRTABLE.items()},
    "ops.airtable_keys": _columns(
        "base_id text, table_id text, key text, record_id text, written_at timestamp"
    ),
    # What people keep; dbt must be told to leave these seeds alone where a world fills them.
    "reference.civicrm_events": _columns("eventbrite_event text, civicrm_event text, fallback_role text"),
    "reference.civicrm_roles": _columns("eventbrite_event text, ticket_class text, civicrm_role text"),
    **{
        f"bronze_sheets.{name}": {
            "_file": "text",
            "_record": "bigint",
            "_line": "bigint",
            **dict.fromkeys(header.split(), "text"),
        }
        for name, header in SHEETS.items()
    },
    "bronze_sheets.files": _columns(
        "sheet text, file text, fingerprint text, bytes bigint, records bigint, landed bigint, "
        "rejected bigint, loaded_at timestamp"
    ),
    "bronze_sheets.rejects": _columns(
        "sheet text, file text, record bigint, line bigint, reason text, raw text"
    ),
}
LINKS = (
    "create schema if not exists reference",
    "create table reference.event_links (sheets_event_id text, eventbrite_event_id text)",
)
LANDED = "2026-03-01T12:00:00Z"


def instant(text: str | None) -> datetime | None:
    """ISO 8601 as UTC without zone."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Row:
    """`base` with `changes` on top, dicts inside merged too."""
    result = deepcopy(dict(base))
    for key, value in changes.items():
        held = result.get(key)
        result[key] = merged(held, value) if isinstance(value, dict) and isinstance(held, dict) else value
    return result


def money(value: int, currency: str = "USD") -> Row:
    return {"currency": currency, "value": value, "display": "not to be read", "major_value": "nor this"}


def costs(gross: int, currency: str = "USD", *, fee: int = 0, payment_fee: int = 0, tax: int = 0) -> Row:
    """An order's or attendee's costs, in minor units."""
    return {
        "base_price": money(gross - fee - payment_fee - tax, currency),
        "eventbrite_fee": money(fee, currency),
        "payment_fee": money(payment_fee, currency),
        "tax": money(tax, currency),
        "gross": money(gross, currency),
    }


class Bronze:
    """A world in bronze's shape. `tables` maps each name of TABLES to its rows.

    `links` are the rows people keep in event_links.csv: sheet event to Eventbrite event. dbt must then be
    told to leave that seed alone.
    """

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = defaultdict(list)
        self.links: list[tuple[str, str]] = []

    # Eventbrite: objects by API shape; what is not said is what the API usually says.

    def event(self, id: str, *, missing_since: str | None = None, **said: Any) -> None:
        payload = merged(
            {
                "id": id,
                "name": {"text": f"Event {id}", "html": f"Event {id}"},
                "start": {
                    "timezone": "America/New_York",
                    "local": "2026-02-10T19:00:00",
                    "utc": "2026-02-11T00:00:00Z",
                },
                "end": {
                    "timezone": "America/New_York",
                    "local": "2026-02-10T22:00:00",
                    "utc": "2026-02-11T03:00:00Z",
                },
                "changed": "2026-01-05T09:00:00Z",
                "organization_id": "7001",
                "venue_id": None,
                "status": "completed",
                "currency": "USD",
                "capacity": None,
                "online_event": False,
                "is_series_parent": False,
            },
            said,
        )
        columns = {name: payload.get(name) for name in ("organization_id", "venue_id", "series_id")}
        self._hold("events", payload, columns, missing_since, payload["changed"])

    def venue(self, id: str, *, missing_since: str | None = None, **said: Any) -> None:
        payload = merged(
            {
                "id": id,
                "name": f"Venue {id}",
                "capacity": None,
                "address": {"city": "New York", "region": "NY", "country": "US"},
            },
            said,
        )
        self._hold("venues", payload, {"organization_id": "7001"}, missing_since)

    def ticket_class(self, id: str, event_id: str, *, missing_since: str | None = None, **said: Any) -> None:
        payload = merged(
            {
                "id": id,
                "event_id": event_id,
                "name": f"Class {id}",
                "category": "admission",
                "free": False,
                "donation": False,
                "cost": money(1000),
                "capacity": 100,
                "quantity_total": 100,
            },
            said,
        )
        columns = {"event_id": event_id, "organization_id": "7001"}
        self._hold("ticket_classes", payload, columns, missing_since)

    def order(
        self,
        id: str,
        event_id: str,
        *,
        missing_since: str | None = None,
        landed_at: str = LANDED,
        **said: Any,
    ) -> None:
        """One version of an order; the last one said is the current one."""
        payload = merged(
            {
                "id": id,
                "event_id": event_id,
                "created": "2026-01-10T15:00:00Z",
                "changed": "2026-01-10T15:01:00Z",
                "name": "Kim Buyer",
                "email": "kim@example.org",
                "status": "placed",
                "costs": costs(0),
            },
            said,
        )
        columns = {"event_id": event_id, "organization_id": "7001"}
        self._hold("orders", payload, columns, missing_since, payload["changed"], landed_at)

    def attendee(
        self,
        id: str,
        order_id: str,
        event_id: str,
        *,
        missing_since: str | None = None,
        landed_at: str = LANDED,
        **said: Any,
    ) -> None:
        """One version of an attendee; the last one said is the current one."""
        payload = merged(
            {
                "id": id,
                "order_id": order_id,
                "event_id": event_id,
                "created": "2026-01-10T15:01:00Z",
                "changed": "2026-01-10T15:01:00Z",
                "ticket_class_id": None,
                "ticket_class_name": "General",
                "status": "Attending",
                "checked_in": False,
                "cancelled": False,
                "refunded": False,
                "profile": {"name": "Kim Buyer", "email": "kim@example.org"},
                "barcodes": [{"status": "unused", "changed": "2026-01-10T15:01:03Z"}],
                "costs": costs(0),
                "affiliate": None,
            },
            said,
        )
        columns = {"order_id": order_id, "event_id": event_id, "organization_id": "7001"}
        self._hold("attendees", payload, columns, missing_since, payload["changed"], landed_at)

    def _hold(
        self,
        kind: str,
        payload: Row,
        columns: Mapping[str, Any],
        missing_since: str | None,
        changed: str | None = None,
        landed_at: str = LANDED,
    ) -> None:
        text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
        version = {
            "id": payload["id"],
            "payload": text,
            "payload_hash": hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
            "landed_at": instant(landed_at),
        }
        if changed:
            version["changed"] = instant(changed)
        table = self.tables[f"bronze_eventbrite.{kind}"]
        table[:] = [row for row in table if row["id"] != payload["id"]]
        table.append({**version, **columns, "missing_since": instant(missing_since)})
        if kind in ("orders", "attendees"):
            history = self.tables[f"bronze_eventbrite.{kind}_history"]
            if all(
                (row["id"], row["payload_hash"]) != (version["id"], version["payload_hash"])
                for row in history[-50:]
            ):
                history.append(version)

    # Sheets: a row is a record of <sheet>.csv; what is not said is an empty cell.

    def sheet(self, name: str, /, **cells: str | None) -> None:
        rows = self.tables[f"bronze_sheets.{name}"]
        header = SHEETS[name].split()
        if unknown := set(cells) - set(header):
            raise KeyError(f"{name} has no column {sorted(unknown)}")
        record = len(rows) + 1
        rows.append(
            {
                "_file": f"{name}.csv",
                "_record": record,
                "_line": record + 1,
                **{column: cells.get(column, "") for column in header},
            }
        )

    # Airtable: a table is what its mapped columns say of it; a record's cells are by those columns.

    def base(self, table_id: str, role: str, columns: Mapping[str, str | None]) -> None:
        """Maps a table; `columns` gives the zone of each column's field."""
        lines = self.tables["bronze_airtable.mappings"]
        for column, zone in columns.items():
            lines.append(
                {
                    "line": len(lines) + 2,
                    "table_id": table_id,
                    "role": role,
                    "column_name": column,
                    "field_id": f"fld_{column}",
                    "type": "singleLineText",
                    "timezone": zone,
                }
            )

    def record(self, table_id: str, id: str, *, missing_since: str | None = None, **cells: Any) -> None:
        """A cell that is None is empty, so it is not in the payload."""
        fields = {f"fld_{column}": value for column, value in cells.items() if value is not None}
        payload = {"id": id, "createdTime": LANDED, "fields": fields}
        self.tables["bronze_airtable.records"].append(
            {
                "table_id": table_id,
                "id": id,
                "created_at": instant(LANDED),
                "payload": json.dumps(payload, ensure_ascii=False),
                "payload_hash": id,
                "missing_since": instant(missing_since),
                "landed_at": instant(LANDED),
            }
        )

    def wrote(self, table_id: str, id: str, key: str) -> None:
        """The record is one that boxoffice made, of the row with that key."""
        self.tables["ops.airtable_keys"].append(
            {
                "base_id": "app",
                "table_id": table_id,
                "key": key,
                "record_id": id,
                "written_at": instant(LANDED),
            }
        )

    # Mappings: lines that people keep.

    def mapped(self, eventbrite_event: str, civicrm_event: str, fallback_role: str | None = None) -> None:
        self.tables["reference.civicrm_events"].append(
            {
                "eventbrite_event": eventbrite_event,
                "civicrm_event": civicrm_event,
                "fallback_role": fallback_role,
            }
        )

    def role(self, eventbrite_event: str | None, ticket_class: str, civicrm_role: str) -> None:
        self.tables["reference.civicrm_roles"].append(
            {
                "eventbrite_event": eventbrite_event,
                "ticket_class": ticket_class,
                "civicrm_role": civicrm_role,
            }
        )

    def write(self, path: Path) -> None:
        """Make every bronze table in a DuckDB file, with the rows of this world."""
        for sheet in SHEETS:
            count = len(self.tables[f"bronze_sheets.{sheet}"])
            self.tables["bronze_sheets.files"].append(
                {
                    "sheet": sheet,
                    "file": f"{sheet}.csv",
                    "fingerprint": "0",
                    "bytes": 1,
                    "records": count,
                    "landed": count,
                    "rejected": 0,
                    "loaded_at": instant(LANDED),
                }
            )
        with duckdb.connect(str(path)) as connection:
            for statement in create_statements():
                connection.execute(statement)
            for name, columns in TABLES.items():
                if rows := self.tables.get(name):
                    batch = as_arrow(rows, columns)  # noqa: F841  DuckDB finds it by name
                    connection.execute(f"insert into {name} by name select * from batch")
            if self.links:
                for statement in LINKS:
                    connection.execute(statement)
                connection.executemany("insert into reference.event_links values (?, ?)", self.links)


def as_arrow(rows: Iterable[Row], columns: Mapping[str, str]) -> pa.Table:
    rows = list(rows)
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], _TYPES[kind]) for name, kind in columns.items()}
    )


def create_statements() -> list[str]:
    """SQL that makes the empty bronze tables, on DuckDB and Postgres alike."""
    schemas = sorted({name.split(".")[0] for name in TABLES})
    return [
        *(f"create schema if not exists {schema}" for schema in schemas),
        *(
            f"create table {name} ({', '.join(f'{column} {kind}' for column, kind in columns.items())})"
            for name, columns in TABLES.items()
        ),
    ]


def read(path: Path) -> dict[str, list[Row]]:
    """The bronze tables of a warehouse, as rows."""
    tables = {}
    with duckdb.connect(str(path), read_only=True) as connection:
        for name, columns in TABLES.items():
            wanted = ", ".join(f'"{column}"' for column in columns)
            tables[name] = connection.execute(f"select {wanted} from {name}").to_arrow_table().to_pylist()
    return tables
