"""What to do where base and model differ by more than a value: rows of settings.csv, or a model's meta."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from boxoffice.errors import ConfigurationError

CHOICES = {
    "on_delete": ("keep", "archive", "delete"),
    "on_null": ("clear", "keep"),
    "on_edit": ("keep", "overwrite"),
    "on_missing": ("recreate", "leave"),
    "create_options": ("no", "yes"),
}


@dataclass(frozen=True)
class Policies:
    """How one table is treated; the first value of each is the default.

    on_delete: rows of ours that the model no longer has. on_null: cells that have no value any more. on_edit:
    what people wrote into our cells stays until there is a new value, or not. on_missing: rows of ours that
    people deleted. max_delete_share: of our rows, most that one run archives or deletes.
    """

    on_delete: str = "keep"
    archive_field: str = "Archived"
    on_null: str = "clear"
    on_edit: str = "keep"
    on_missing: str = "recreate"
    create_options: str = "no"
    max_delete_share: float = 0.2


def of(rows: Mapping[str, str], thing: str, meta: Mapping[str, Any]) -> Policies:
    """The policies of a table.

    Args:
        rows: settings.csv, `name` or `thing.name` to value; the latter wins. meta: what the model says, which
            settings.csv overrules.

    Raises:
        ConfigurationError: a value that cannot be used.
    """
    found: dict[str, Any] = {}
    for name in (each.name for each in fields(Policies)):
        said = rows.get(f"{thing}.{name}", rows.get(name, meta.get(name)))
        if said is not None:
            found[name] = _checked(name, str(said))
    return Policies(**found)


def check(rows: Mapping[str, str], things: set[str]) -> None:
    """Raises ConfigurationError for a name in settings.csv that means nothing."""
    known = {each.name for each in fields(Policies)}
    for name in rows:
        thing, _, rest = name.rpartition(".")
        if rest not in known or (thing and thing not in things):
            prefixes = " or ".join(sorted(things))
            raise ConfigurationError(
                f"settings.csv sets {name} for airtable, which there is not.",
                f"There are {', '.join(sorted(known))}, also with {prefixes} and a dot before them.",
            )


def _checked(name: str, said: str) -> Any:
    if name == "archive_field":
        return said
    if name == "max_delete_share":
        try:
            share = float(said)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise ConfigurationError(
                f"max_delete_share is {said!r} for airtable.", "Write a share from 0 to 1, like 0.2."
            )
        return share
    if said.lower() not in CHOICES[name]:
        raise ConfigurationError(f"{name} is {said!r} for airtable.", f"Use {' or '.join(CHOICES[name])}.")
    return said.lower()
