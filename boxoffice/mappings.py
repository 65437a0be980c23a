"""What people keep in MAPPINGS_DIR. The crosswalks that every build reads must be there, with their headers.

airtable_fields.csv and settings.csv are read when something is written back, and may be missing. What only a
source reads, that source looks at: its lines can be wrong one by one.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boxoffice.errors import ConfigurationError
from boxoffice.settings import ROOT, Settings

DEFAULTS = ROOT / "seeds" / "mappings"
CIVICRM_EVENTS, CIVICRM_ROLES = "civicrm_events.csv", "civicrm_roles.csv"
NEEDED = ("event_links.csv", CIVICRM_EVENTS, CIVICRM_ROLES)
AIRTABLE_FIELDS, SETTINGS = "airtable_fields.csv", "settings.csv"


@dataclass(frozen=True)
class EventLine:
    """A line of civicrm_events.csv. Events go by id or by name; fallback_role is '' for none."""

    line: int
    eventbrite_event: str
    civicrm_event: str
    fallback_role: str


@dataclass(frozen=True)
class RoleLine:
    """A line of civicrm_roles.csv. eventbrite_event is '' for every mapped event."""

    line: int
    eventbrite_event: str
    ticket_class: str
    civicrm_role: str


def check(settings: Settings) -> None:
    """Read them all once, before any work.

    Raises:
        ConfigurationError: one is missing or cannot be used; the message names file and line.
    """
    for problem in problems(settings):
        raise problem


def problems(settings: Settings) -> Iterator[ConfigurationError]:
    """What is wrong with each of them: the first thing in a file."""
    for name in NEEDED:
        with (DEFAULTS / name).open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        try:
            _read(settings.mappings_dir / name, header)
            if name == CIVICRM_EVENTS:
                civicrm_events(settings)
            elif name == CIVICRM_ROLES:
                civicrm_roles(settings)
        except ConfigurationError as error:
            yield error


def _read(path: Path, header: list[str]) -> None:
    shape = f"Its first line must hold {','.join(header)}, each other line as many cells, with commas."
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            found = next(lines, [])
            if not set(header) <= set(found) or len(set(found)) < len(found):
                raise ConfigurationError(f"{path} does not begin with its header.", shape)
            for cells in lines:
                if cells and len(cells) != len(found):
                    raise ConfigurationError(
                        f"{path}, line {lines.line_num}, has {len(cells)} cells, not {len(found)}.", shape
                    )
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}.",
            f"Put a file there that holds {','.join(header)}, or let MAPPINGS_DIR name another folder.",
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} is not a CSV file in UTF-8: {error}.", shape) from error


def airtable_fields(settings: Settings) -> dict[tuple[str, str], str]:
    """What tables and fields are called in the base; nothing without the file.

    Returns:
        Sync model and its column ('' for the table) to name or id, or to '' where it is not to be written.

    Raises:
        ConfigurationError: a line cannot be used; the message names it.
    """
    found: dict[tuple[str, str], str] = {}
    path = settings.mappings_dir / AIRTABLE_FIELDS
    for number, cells in lines(path, ("model", "column", "airtable")):
        if not cells["model"]:
            raise _unusable(path, number, "names no model", "Fill it in, like events, or delete the line.")
        thing = cells["model"].lower().removeprefix("sync_airtable__")
        key = (f"sync_airtable__{thing}", cells["column"].lower())
        if found.setdefault(key, cells["airtable"]) != cells["airtable"]:
            what = f"column {key[1]} of {thing}" if key[1] else f"the table of {thing}"
            raise _unusable(path, number, f"names {what} a second time", "Keep one of the lines.")
    return found


def policies(settings: Settings, destination: str) -> dict[str, str]:
    """The rows of settings.csv for a destination, name to value as written. Nothing without the file.

    Raises:
        ConfigurationError: a line cannot be used; the message names it.
    """
    found: dict[str, str] = {}
    path = settings.mappings_dir / SETTINGS
    for number, cells in lines(path, ("destination", "name", "value")):
        _refuse_blanks(path, number, cells, cells)
        if cells["destination"].lower() != destination:
            continue
        name = cells["name"].lower()
        if found.setdefault(name, cells["value"]) != cells["value"]:
            raise _unusable(path, number, f"sets {name} a second time", "Keep one of the lines.")
    return found


def civicrm_events(settings: Settings) -> list[EventLine]:
    """Which events CiviCRM is to hold, in the order of the file; nothing without it.

    Raises:
        ConfigurationError: a line cannot be used; the message names it.
    """
    found: dict[str, EventLine] = {}
    path = settings.mappings_dir / CIVICRM_EVENTS
    for number, cells in lines(path, ("eventbrite_event", "civicrm_event", "fallback_role")):
        _refuse_blanks(path, number, cells, ("eventbrite_event", "civicrm_event"))
        line = EventLine(number, **cells)
        if found.setdefault(line.eventbrite_event, line) is not line:
            what = f"maps {line.eventbrite_event} a second time"
            raise _unusable(path, number, what, "Keep one of the lines: an event goes to one event.")
    return list(found.values())


def civicrm_roles(settings: Settings) -> list[RoleLine]:
    """Which role the holder of a ticket has, in the order of the file; nothing without it.

    Raises:
        ConfigurationError: a line cannot be used; the message names it.
    """
    found: dict[tuple[str, str], RoleLine] = {}
    path = settings.mappings_dir / CIVICRM_ROLES
    for number, cells in lines(path, ("eventbrite_event", "ticket_class", "civicrm_role")):
        _refuse_blanks(path, number, cells, ("ticket_class", "civicrm_role"))
        line = RoleLine(number, **cells)
        if found.setdefault((line.eventbrite_event, line.ticket_class), line) is not line:
            of = f" of {line.eventbrite_event}" if line.eventbrite_event else ""
            what = f"maps {line.ticket_class}{of} a second time"
            raise _unusable(path, number, what, "Keep one of the lines: a ticket class goes to one role.")
    return list(found.values())


def lines(path: Path, header: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and cells, by `header`, of each line that is not blank; none without the file.

    The columns may stand in any order, beside others.

    Raises:
        ConfigurationError: it is no CSV in UTF-8, or lacks a column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return
    except OSError as error:
        remedy = "Let this user read it, or let MAPPINGS_DIR name another folder."
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", remedy) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is no UTF-8 text.", "Save it as CSV in UTF-8.") from error
    first, *_ = text.splitlines() or [""]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    names = [name.strip().lower() for name in next(reader, [])]
    missing = [name for name in header if name not in names]
    if missing:
        raise ConfigurationError(
            f"{path} has no column {' and no column '.join(missing)}.",
            f"Let its first line be {','.join(header)}.",
        )
    before = reader.line_num
    try:
        for row in reader:
            number, before = before + 1, reader.line_num
            if any(cell.strip() for cell in row):
                filled = dict(zip(names, [*(cell.strip() for cell in row), *[""] * len(names)], strict=False))
                yield number, {name: filled[name] for name in header}
    except csv.Error as error:
        problem = f"Line {before + 1} of {path} is no CSV: {error}."
        raise ConfigurationError(problem, "Mend the line.") from error


def _refuse_blanks(path: Path, number: int, cells: Mapping[str, str], names: Iterable[str]) -> None:
    missing = [name for name in names if not cells[name]]
    if missing:
        said = f"has no {' and no '.join(missing)}"
        raise _unusable(path, number, said, "Fill it in, or delete the line.")


def _unusable(path: Path, number: int, what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"Line {number} of {path} {what}.", remedy)
