"""Why a row is in Airtable, or is not: told from the warehouse and the ops file, without a call."""

from typing import Any

from boxoffice import ops
from boxoffice.build import sync_models
from boxoffice.errors import ConfigurationError
from boxoffice.ops import Ops
from boxoffice.settings import Settings
from boxoffice.stand_ins import AIRTABLE_BASE
from boxoffice.terminal import Terminal
from reverse_etl import differ
from reverse_etl.airtable import DESTINATION
from reverse_etl.journal import Journal


def explained(key: str, settings: Settings, terminal: Terminal) -> tuple[int, dict[str, Any]]:
    """Tell what is known of the row with a key. Returns an exit code (1: nobody knows it) and what --json
    prints.

    Raises:
        ConfigurationError: nothing was built yet.
    """
    if not settings.warehouse_path.exists():
        raise ConfigurationError("There is no warehouse yet.", "`make run` makes it.")
    found = []
    known = _known(settings, key)
    with differ.opened(settings.warehouse_path) as rows:
        models = [model for model in sync_models(settings) if model.destination == DESTINATION]
        built = rows.types(models)
        for model in models:
            is_wanted = model.name in built and key in rows.keys(model, str(model.meta.get("key")))
            about = known.get(model.name, {})
            if is_wanted or about:
                found.append({"model": model.name, "is_wanted": is_wanted, **about})
    for each in found:
        terminal.say(_sentence(each))
    if not found:
        terminal.say(f"No sync model has {key}, and nothing was ever sent of it.")
    return (0 if found else 1), {"key": key, "found": found}


def _known(settings: Settings, key: str) -> dict[str, dict[str, Any]]:
    if not settings.ops_path.exists():
        return {}
    with ops.opened_to_read(settings.ops_path) as connection:
        base_id = AIRTABLE_BASE if settings.is_sandbox else str(settings.airtable_base_id)
        journal = Journal(Ops(connection), DESTINATION, base_id, 0)
        return dict(journal.told(key))


def _sentence(each: dict[str, Any]) -> str:
    said = [
        f"{each['model']} has it." if each["is_wanted"] else f"{each['model']} does not have it (any more)."
    ]
    if "record_id" in each:
        whose = "made by people and adopted" if each["is_adopted"] else "made by boxoffice"
        said.append(f"In Airtable it is {each['record_id']}, {whose}; last written {each['written_at']} UTC.")
    else:
        said.append("Airtable has no record of it, as far as we know.")
    if "reason" in each:
        where = f"{each['field']}: " if each["field"] else ""
        said.append(f"Refused since {each['first_seen_at']} UTC: {where}{each['reason']} {each['remedy']}")
    elif each["is_wanted"] and "record_id" not in each:
        said.append("It was not refused: the next sync makes it.")
    return " ".join(said)
