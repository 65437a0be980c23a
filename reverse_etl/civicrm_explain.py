"""Why an order or an attendee is in CiviCRM, or is not: told from the warehouse and the ops file, without a
call."""

from collections.abc import Iterator, Sequence
from typing import Any

from boxoffice import ops
from boxoffice.build import sync_models
from boxoffice.errors import ConfigurationError
from boxoffice.ops import Ops
from boxoffice.settings import Settings
from boxoffice.terminal import Terminal
from reverse_etl import differ
from reverse_etl.civicrm_show import OF_PEOPLE, PERSONAL, PLAIN
from reverse_etl.links import DESTINATION, Links

KEYS = {"orders": "order_id", "attendees": "attendee_id"}
MOST_WRITES = 20


def explained(key: str, settings: Settings, terminal: Terminal) -> tuple[int, dict[str, Any]]:
    """Tell what is known of the order or attendee with an id. Returns an exit code (1: nobody knows it) and
    what --json prints.

    Raises:
        ConfigurationError: nothing was built yet.
    """
    if not settings.warehouse_path.exists():
        raise ConfigurationError("There is no warehouse yet.", "`make run` makes it.")
    wanted = _wanted(settings, key)
    order_id = str(wanted.get("order_id", key))
    links, refusals, written = _known(settings, key, order_id)
    order_id = str(wanted.get("order_id") or next((row["order_id"] for row in links), key))
    document = {"key": key, "wanted": wanted, "links": links, "refused": refusals, "written": written}
    for sentence in _sentences(key, order_id, document):
        terminal.say(sentence)
    return (0 if wanted or links or refusals or written else 1), document


def _wanted(settings: Settings, key: str) -> dict[str, Any]:
    """What the models say of it, without what is personal."""
    with differ.opened(settings.warehouse_path) as rows:
        models = [model for model in sync_models(settings) if model.destination == DESTINATION]
        built = rows.types(models)
        for model in models:
            if model.name not in built:
                continue
            row = rows.row(model, KEYS[model.thing], key)
            if row is not None:
                personal = {name for name, column in model.columns.items() if column.is_personal}
                return {name: value for name, value in row.items() if name not in personal}
    return {}


def _known(
    settings: Settings, key: str, order_id: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Links, refusals and writes of it."""
    site = settings.civicrm
    base_id = "sandbox" if settings.is_sandbox else site.base_id if site else None
    if base_id is None or not settings.ops_path.exists():
        return [], [], []
    with ops.opened_to_read(settings.ops_path) as connection:
        known = Links(Ops(connection), base_id, 0)
        links = list(known.history(key))
        order_id = next((str(row["order_id"]) for row in links), order_id)
        refusals = [refusal for each in {key: 0, order_id: 0} if (refusal := known.refusal(each))]
        return links, refusals, [_shown(row) for row in known.written(order_id)]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A write, without the values that tell of people."""
    changes = row.pop("changes") or {}
    hides = row["table_name"] in OF_PEOPLE
    fields = {
        name: [PERSONAL, PERSONAL] if hides and name not in PLAIN and not name.endswith("_id") else values
        for name, values in changes.items()
    }
    names = {"table_name": "entity", "rule_id": "rule", "operation": "action"}
    return {**{names.get(name, name): value for name, value in row.items()}, "fields": fields}


def _sentences(key: str, order_id: str, document: dict[str, Any]) -> Iterator[str]:
    wanted = document["wanted"]
    if wanted:
        of = f", of order {order_id}" if order_id != key else ""
        yield f"{key}{of}: {wanted.get('status')}; event {wanted.get('civicrm_event')} in CiviCRM."
        if wanted.get("attendee_id") and not wanted.get("civicrm_role"):
            yield "Its ticket class has no role (rule G2)."
    else:
        yield f"No sync model for CiviCRM has {key} (rule G1: only orders of mapped events are brought)."
    for row in document["links"]:
        if row["kind"] == "contact" and row["unlinked_at"]:
            continue  # it waited for its participant
        ended = f", until {row['unlinked_at']} UTC ({row['why']})" if row["unlinked_at"] else ""
        contact = f" of contact {row['contact_id']}" if row["contact_id"] and row["kind"] != "contact" else ""
        what = f"{row['kind']} {row['record_id']}{contact}"
        yield f"{row['source_id']} is {what} since {row['linked_at']} UTC{ended}."
    for row in document["refused"]:
        since = f"Refused since {row['first_seen_at']} UTC, rule {row['rule_id']}"
        yield f"{since}: {row['reason']} {row['remedy']}"
    yield from _writes(document["written"])
    if wanted and not document["links"] and not document["refused"]:
        yield "It was neither written nor refused yet: the next sync does."


def _writes(written: Sequence[dict[str, Any]]) -> Iterator[str]:
    for row in written[-MOST_WRITES:]:
        record = f" {row['record_id']}" if row["record_id"] else ""
        state = "" if row["state"] == "answered" else f" ({row['state']})"
        names = ", ".join(row["fields"])
        fields = f": {names}" if names else ""
        yield f"{row['sent_at']} UTC, {row['rule']}: {row['action']} {row['entity']}{record}{state}{fields}."
