"""People who asked to be forgotten: left out of what lands, and taken out of what has landed.

The person goes, the sale stays: rows, keys and money are untouched, so that tickets and money still add up.
An e-mail counts however its case and outer spaces are written.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from boxoffice.ops import EMAIL, Forgotten
from boxoffice.publish import STORAGE_VERSION
from boxoffice.settings import Settings
from ingest import landing

# What stays of one's own order or ticket: the sale. All else goes, keys nobody knows of yet too.
OF_A_SALE = frozenset(
    {
        *("_type", "id", "resource_uri", "created", "changed", "status", "event_id", "order_id"),
        *("ticket_class_id", "ticket_class_name", "variant_id", "quantity", "costs", "time_remaining"),
        *("checked_in", "cancelled", "refunded", "barcodes", "delivery_method", "merchandise"),
        *("affiliate", "guestlist_id", "promo_code", "promotional_code", "refund_requests"),
    }
)
OF_A_REQUEST = frozenset(("from_email", "from_name", "message", "last_message"))
MAIN_EMAIL = {"orders": "$.email", "attendees": "$.profile.email"}

# Sheets with a row per person, and the columns that say who it is. City, state and country stay: they tell
# where sales come from, and nobody by themselves.
PEOPLE_SHEETS = ("customers", "users")
PERSONAL_COLUMNS = ("name", "email")


# --- Eventbrite ----------------------------------------------------------------------------------------


def blanked(kind: str, each: dict[str, Any], forgotten: Forgotten) -> dict[str, Any]:
    """An object (`kind`: its table) without the people forgotten; itself when it names none.

    Returns:
        The same keys. Of one's own order or ticket all but the sale is blank; of everything else, the refund
        requests and texts that name them.
    """
    if not forgotten or not any(forgotten.mentioned_in(text) for text in _texts(each)):
        return each
    person = each.get("profile") if kind == "attendees" else each
    email = person.get("email") if isinstance(person, dict) else None
    is_own = kind in MAIN_EMAIL and isinstance(email, str) and any(forgotten.matches([email]))
    whole = {key: _blank(value) if is_own and key not in OF_A_SALE else value for key, value in each.items()}
    requests = whole.get("refund_requests")
    if isinstance(requests, dict):
        whole["refund_requests"] = _request(requests, is_own, forgotten)
    elif isinstance(requests, list):
        whole["refund_requests"] = [_request(request, is_own, forgotten) for request in requests]
    return {key: _without_mentions(value, forgotten) for key, value in whole.items()}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _request(request: Any, is_own: bool, forgotten: Forgotten) -> Any:
    if not isinstance(request, dict):
        return request
    email = request.get("from_email")
    if not is_own and not (isinstance(email, str) and any(forgotten.matches([email]))):
        return request
    return {key: None if key in OF_A_REQUEST else value for key, value in request.items()}


def _blank(value: Any) -> Any:
    return type(value)() if isinstance(value, dict | list) else None


def _without_mentions(value: Any, forgotten: Forgotten) -> Any:
    if isinstance(value, str):
        return None if forgotten.mentioned_in(value) else value
    if isinstance(value, list):
        return [_without_mentions(each, forgotten) for each in value]
    if isinstance(value, dict):
        return {key: _without_mentions(each, forgotten) for key, each in value.items()}
    return value


# --- Airtable ------------------------------------------------------------------------------------------


def blanked_record(each: dict[str, Any], forgotten: Forgotten) -> dict[str, Any]:
    """An Airtable record without the people forgotten; itself when it names none.

    Returns:
        The same keys. Texts that name one of them are null, and so is all that is said of a collaborator who
        is one of them. What other cells tell of that person, nobody knows.
    """
    if not any(forgotten.mentioned_in(text) for text in _texts(each)):
        return each
    return {key: _without_people(value, forgotten) for key, value in each.items()}


def _without_people(value: Any, forgotten: Forgotten) -> Any:
    if isinstance(value, dict):
        email = value.get("email")
        if isinstance(email, str) and any(forgotten.matches([email])):
            return dict.fromkeys(value)
        return {key: _without_people(each, forgotten) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_people(each, forgotten) for each in value]
    return _without_mentions(value, forgotten)


# --- sheets --------------------------------------------------------------------------------------------


def blanked_rows(sheet: str, rows: pa.Table, extra: list[str], forgotten: Forgotten) -> pa.Table:
    """Rows of a sheet without the people forgotten.

    Args:
        rows: every column text, but for `_record` and `_line`.
        extra: the columns beyond the expected ones; nobody knows what they tell of the person of their row.
    """
    if not forgotten:
        return rows
    if sheet in PEOPLE_SHEETS:
        is_theirs = pa.array(forgotten.matches(rows["email"].to_pylist()), pa.bool_())
        for name in (*PERSONAL_COLUMNS, *extra):
            rows = _replaced(rows, name, is_theirs, pa.scalar(""))
    for name in rows.column_names:
        if not pa.types.is_string(rows[name].type) or name == "_file":
            continue
        if not pc.any(pc.match_substring(rows[name], "@")).as_py():
            continue
        cells = rows[name].to_pylist()
        fresh = pa.array([_cell(name, cell, forgotten) for cell in cells], pa.string())
        rows = rows.set_column(rows.column_names.index(name), name, fresh)
    return rows


def _replaced(rows: pa.Table, name: str, where: pa.Array, value: pa.Scalar) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, pc.if_else(where, value, rows[name]))


def _cell(column: str, cell: str | None, forgotten: Forgotten) -> str | None:
    """The cell, or what takes the place of one that names somebody. A key must still join: it gets another
    word, the same everywhere."""
    if not forgotten.mentioned_in(cell):
        return cell
    if not column.endswith("_id"):
        return ""
    plain = (cell or "").strip().casefold().encode()
    return "forgotten-" + hashlib.blake2b(plain, key=forgotten.salt, digest_size=8).hexdigest()


# --- what has landed -----------------------------------------------------------------------------------


def redact(settings: Settings, forgotten: Forgotten) -> int:
    """Take the people forgotten out of bronze, once for every new set of them. Needs the lock.

    One transaction, which ends by noting in the warehouse, in ops.redactions, whom it was for: killed, it is
    done by the next run; so it is after yesterday's warehouse was restored. Unfinished loads hold people too
    and are dropped; what they were made from is read again.

    Returns:
        How many rows changed.
    """
    if not forgotten:
        return 0
    people = _digest(forgotten)
    with landing.warehouse(settings) as connection:
        if connection is not None and _is_done(connection, people):
            return 0
    # What DuckDB spilled in a run that was killed lies beside the warehouse.
    spilled = settings.warehouse_path.with_name(f"{settings.warehouse_path.name}.tmp")
    for folder in (settings.dlt_dir, spilled):
        shutil.rmtree(folder, ignore_errors=True)
    if not settings.warehouse_path.exists():
        return 0
    with landing.warehouse(settings, read_only=False) as connection:
        assert connection is not None
        connection.begin()
        columns = _text_columns(connection)
        changed = 0
        for (schema, table), names in columns.items():
            if schema == "bronze_eventbrite" and "payload" in names:
                kind = table.removesuffix("_history")
                blank, email = partial(blanked, kind), MAIN_EMAIL.get(kind)
                changed += _redact_payloads(connection, f"{schema}.{table}", blank, email, forgotten)
            if schema == "bronze_airtable" and "payload" in names:
                changed += _redact_payloads(connection, f"{schema}.{table}", blanked_record, None, forgotten)
            if schema == "bronze_sheets" and "_record" in names:
                changed += _redact_sheet(connection, table, names, forgotten)
        if ("bronze_sheets", "rejects") in columns:
            changed += _redact_rejects(connection, forgotten)
        connection.execute("create schema if not exists ops")
        connection.execute(
            "create table if not exists ops.redactions (people varchar, redacted_at timestamp, rows bigint)"
        )
        moment = landing.utc_timestamp(settings.as_of)
        connection.execute("insert into ops.redactions values (?, ?, ?)", [people, moment, changed])
        connection.commit()
        connection.execute("checkpoint")
    return changed


def _digest(forgotten: Forgotten) -> str:
    hashes = "\n".join(sorted(forgotten.hashes)).encode()
    return hashlib.blake2b(hashes, key=forgotten.salt, digest_size=16).hexdigest()


def _is_done(connection: duckdb.DuckDBPyConnection, people: str) -> bool:
    held = connection.execute(
        "select 1 from duckdb_tables() where schema_name = 'ops' and table_name = 'redactions'"
    ).fetchall()
    # The latest one: with yesterday's ops file restored, another set of people was last.
    last = "select people from ops.redactions order by rowid desc limit 1"
    return bool(held) and connection.execute(last).fetchall() == [(people,)]


def _text_columns(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], list[str]]:
    """Table to its columns, in the bronze schemas; dlt's own tables hold nobody."""
    rows = connection.execute(
        "select schema_name, table_name, column_name from duckdb_columns()"
        " where schema_name in ('bronze_eventbrite', 'bronze_sheets', 'bronze_airtable')"
        " and not starts_with(table_name, '_')"
        " order by all"
    ).fetchall()
    columns: dict[tuple[str, str], list[str]] = {}
    for schema, table, column in rows:
        columns.setdefault((schema, table), []).append(column)
    return columns


def _redact_payloads(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    blank: Callable[[dict[str, Any], Forgotten], dict[str, Any]],
    email: str | None,
    forgotten: Forgotten,
) -> int:
    """`email`: the JSON path of the e-mail of whom a row is about, if it is about anybody."""
    # Every e-mail once; then only the rows of those that match are taken apart.
    tokens = "regexp_extract_all(payload, $token)"
    if email is not None:
        tokens = f"list_append({tokens}, payload ->> '{email}')"
    distinct = connection.execute(
        f"select distinct unnest({tokens}) from {table} where contains(payload, '@')", {"token": EMAIL}
    ).fetchall()
    found = [token for (token,) in distinct if token and _may_be(token, forgotten)]
    if not found:
        return 0
    rows = connection.execute(
        f"select rowid, id, payload from {table}"
        f" where contains(payload, '@') and list_has_any({tokens}, $found)",
        {"token": EMAIL, "found": found},
    ).fetchall()
    fresh = []
    for row, key, payload in rows:
        each = orjson.loads(payload)
        whole = blank(each, forgotten)
        if whole is not each:
            fresh.append((row, key, orjson.dumps(whole).decode(), landing.payload_hash(whole)))
    if not fresh:
        return 0
    names = ("row", "id", "payload", "payload_hash")
    connection.register("fresh", pa.table(dict(zip(names, zip(*fresh, strict=True), strict=True))))
    connection.execute(
        f"update {table} as held set payload = fresh.payload, payload_hash = fresh.payload_hash from fresh"
        " where held.rowid = fresh.row"
    )
    if table.endswith("_history"):
        # Versions that differed in the person only are one now: the one seen first.
        connection.execute(
            f"""
            delete from {table} where rowid in (
                select rowid from (
                    select rowid, row_number() over (
                        partition by id, payload_hash order by landed_at, rowid
                    ) as place
                    from {table} where id in (select id from fresh)
                ) where place > 1
            )
            """
        )
    connection.unregister("fresh")
    return len(fresh)


def _may_be(token: str, forgotten: Forgotten) -> bool:
    # In JSON the letter before the e-mail may be the second half of an escaped line break.
    return forgotten.mentioned_in(token) or (token[0] in "nrtbf" and forgotten.mentioned_in(token[1:]))


def _redact_sheet(
    connection: duckdb.DuckDBPyConnection, table: str, names: list[str], forgotten: Forgotten
) -> int:
    from ingest.sheets import HEADERS

    cells = [name for name in names if name not in ("_file", "_record", "_line")]
    extra = [name for name in cells if name not in HEADERS.get(table, ())]
    where = f'from bronze_sheets."{table}" where'
    found: dict[str, list[str]] = {}
    for name in cells:
        distinct = connection.execute(
            f'select distinct "{name}" {where} contains("{name}", \'@\')'
        ).fetchall()
        if theirs := [cell for (cell,) in distinct if forgotten.mentioned_in(cell)]:
            found[name] = theirs
    if not found:
        return 0
    listed = ", ".join(f'"{name}"' for name in cells)
    is_found = " or ".join(f'"{name}" in (select unnest(?::varchar[]))' for name in found)
    held = connection.execute(
        f"select rowid as _rowid, {listed} {where} {is_found}", list(found.values())
    ).to_arrow_table()
    texts = held.select(cells).cast(pa.schema([(name, pa.string()) for name in cells]))
    whole = blanked_rows(table, texts, extra, forgotten)
    is_changed = pa.array([False] * held.num_rows, pa.bool_())
    for name in cells:
        differs = pc.fill_null(pc.not_equal(whole[name], texts[name]), False)
        is_changed = pc.or_(is_changed, differs)
    fresh = whole.append_column("_rowid", held["_rowid"]).filter(is_changed)
    if fresh.num_rows:
        connection.register("fresh", fresh)
        assigned = ", ".join(f'"{name}" = fresh."{name}"' for name in cells)
        connection.execute(
            f'update bronze_sheets."{table}" as held set {assigned} from fresh'
            " where held.rowid = fresh._rowid"
        )
        connection.unregister("fresh")
    return fresh.num_rows


def _redact_rejects(connection: duckdb.DuckDBPyConnection, forgotten: Forgotten) -> int:
    from ingest.sheets import RAW_LENGTH

    # Of a text that was cut, nobody knows whom the rest named.
    held = connection.execute(
        "select rowid, raw from bronze_sheets.rejects where contains(raw, '@') or length(raw) >= ?",
        [RAW_LENGTH],
    ).fetchall()
    found = [row for row, raw in held if len(raw) >= RAW_LENGTH or forgotten.mentioned_in(raw)]
    if found:
        connection.execute(
            "update bronze_sheets.rejects set raw = '' where rowid in (select unnest(?::bigint[]))", [found]
        )
    return len(found)


def rewrite(settings: Settings) -> None:
    """Write the warehouse's file anew: DuckDB keeps the bytes of changed rows in blocks to be used again.

    The new file takes the old one's name when it is complete. Needs the lock, and room for both.
    """
    held = settings.warehouse_path
    fresh = held.with_name(f".{held.name}.new")
    leftovers = (fresh, fresh.with_name(f"{fresh.name}.wal"))
    try:
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
        with landing.plain_errors(settings), duckdb.connect() as connection:
            for name, path, option in (
                ("held", held, ""),
                ("fresh", fresh, f" (storage_version '{STORAGE_VERSION}')"),
            ):
                place = str(path).replace("'", "''")
                connection.execute(f"attach '{place}' as {name}{option}")
            connection.execute("checkpoint held")
            connection.execute("copy from database held to fresh")
            connection.execute("checkpoint fresh")
        held.with_name(f"{held.name}.wal").unlink(missing_ok=True)
        fresh.replace(held)
    finally:
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
