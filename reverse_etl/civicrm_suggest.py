"""`--suggest-mapping`: lines of civicrm_events.csv and civicrm_roles.csv for a person to accept. It reads the
warehouse and the site, and writes nothing."""

import csv
import io
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

import click

from boxoffice import mappings, stand_ins
from boxoffice.errors import BoxofficeError, ConfigurationError, explained
from boxoffice.settings import Settings
from boxoffice.terminal import Terminal
from reverse_etl.civicrm_api import Site, site_time

EVENTS = ("eventbrite_event", "civicrm_event", "fallback_role")
ROLES = ("eventbrite_event", "ticket_class", "civicrm_role")
DEFAULT_ROLE = "Attendee"
MOST_ALONE = 10


@dataclass(frozen=True)
class Event:
    """An event on one side. day: by the clock of its place. site_day: by that of the site."""

    id: str
    name: str
    day: date | None
    site_day: date | None = None

    def is_on(self, day: date | None) -> bool:
        return day is not None and day in (self.day, self.site_day)


@dataclass(frozen=True)
class Pair:
    """An event on Eventbrite and the one in CiviCRM that it could be. why: what speaks against it, or ''."""

    eventbrite: Event
    civicrm: Event
    why: str = ""

    @property
    def line(self) -> tuple[str, str, str]:
        """By ids: names can be changed by anybody, and be another's too."""
        return self.eventbrite.id, self.civicrm.id, ""


@dataclass(frozen=True)
class Suggestion:
    """sure: name and day agree. unsure: somebody has to look. alone: events on Eventbrite without a likeness.
    roles: of ticket classes without a line."""

    sure: list[Pair] = field(default_factory=list)
    unsure: list[Pair] = field(default_factory=list)
    alone: list[Event] = field(default_factory=list)
    roles: list[tuple[str, str, str]] = field(default_factory=list)


def suggested(settings: Settings, terminal: Terminal) -> tuple[int, dict[str, Any]]:
    """Print lines that can be pasted.

    Raises:
        ConfigurationError: CiviCRM is not set up, or nothing was built yet.
    """
    with stand_ins.started(settings) as ready:
        settings = ready()
        where = settings.civicrm
        if where is None:
            raise ConfigurationError("CIVICRM_URL is not set.", "docs/civicrm.md tells how to set it up.")
        ours, classes = _of_eventbrite(settings)
        lines, role_lines = mappings.civicrm_events(settings), mappings.civicrm_roles(settings)
        with closing(Site(where.url, where.key, report=terminal.say)) as site:
            active = [["is_active", "=", True], ["is_template", "=", False]]
            theirs = site.get("Event", select=["title", "start_date"], where=active)
            in_roles = [["option_group_id:name", "=", "participant_role"], ["is_active", "=", True]]
            roles = site.get("OptionValue", select=["label"], where=in_roles)
    events = [
        Event(key, name or key, _day(starts_local), _day(starts_at and site_time(starts_at, where.zone)))
        for key, name, starts_at, starts_local in ours
    ]
    open_events = [
        each for each in events if not any(line.eventbrite_event in (each.id, each.name) for line in lines)
    ]
    taken = {str(each["id"]) for line in lines for each in on_record(theirs, line.civicrm_event)}
    there = [
        Event(str(each["id"]), str(each["title"]), _day(each["start_date"]))
        for each in theirs
        if str(each["id"]) not in taken
    ]
    sure, unsure, alone = pairs(open_events, there)
    wanted = {each.id for each in events if each not in open_events} | {each.eventbrite.id for each in sure}
    known = {each for line in role_lines for each in (line.ticket_class, folded(line.ticket_class))}
    missing = {
        name: None
        for event, key, name in classes
        if event in wanted and name and key not in known and name not in known and folded(name) not in known
    }
    labels = [str(each["label"]) for each in roles]
    found = Suggestion(sure, unsure, alone, [("", name, role_of(name, labels)) for name in missing])
    if not terminal.as_json:
        _show(found, terminal)
    return 0, {"events": _document(sure), "unsure": _document(unsure), **_rest(found)}


def pairs(ours: Sequence[Event], theirs: Sequence[Event]) -> tuple[list[Pair], list[Pair], list[Event]]:
    """Pairs of one name and day; pairs that only could be; and events of ours that are like none."""
    by_name: dict[str, list[Event]] = defaultdict(list)
    by_day: dict[date | None, list[Event]] = defaultdict(list)
    for each in theirs:
        by_name[folded(each.name)].append(each)
        by_day[each.day].append(each)
    sure: list[Pair] = []
    unsure: list[Pair] = []
    alike: dict[tuple[str, date | None], list[Event]] = defaultdict(list)
    for each in ours:
        alike[folded(each.name), each.day].append(each)
    for each in ours:
        that_day = [other for day in {each.day, each.site_day} - {None} for other in by_day[day]]
        named = by_name[folded(each.name)] or _likes(each, that_day)
        same_day = [other for other in named if each.is_on(other.day)]
        if len(same_day) == 1 and folded(same_day[0].name) == folded(each.name):
            twins = len(alike[folded(each.name), each.day]) > 1
            pair = Pair(each, same_day[0], "two events on Eventbrite are called so that day" if twins else "")
            (unsure if twins else sure).append(pair)
        else:
            could_be = same_day or _nearest(each, named)
            unsure += [Pair(each, other, _against(each, other, len(same_day))) for other in could_be]
    taken = {pair.civicrm for pair in sure}
    free = [pair for pair in unsure if pair.civicrm not in taken]
    hopeful = {pair.eventbrite for pair in (*sure, *free)}
    return sure, free, [each for each in ours if each not in hopeful]


def _likes(event: Event, others: Iterable[Event]) -> list[Event]:
    """Those one of whose names holds the other's words."""
    words = set(folded(event.name).split())
    pairs = ((other, set(folded(other.name).split())) for other in others)
    return [other for other, theirs in pairs if words and theirs and (words <= theirs or theirs <= words)]


def _nearest(event: Event, others: Sequence[Event]) -> Sequence[Event]:
    """Of others of its name, the one that is least far in time."""
    day = event.day
    if day is None:
        return others[:1]
    dated = [(abs(other.day - day), place) for place, other in enumerate(others) if other.day is not None]
    return [others[min(dated)[1]]] if dated else others[:1]


def _against(event: Event, other: Event, of_that_day: int) -> str:
    if of_that_day > 1:
        return "several events in CiviCRM are called so that day"
    if folded(event.name) != folded(other.name):
        return f"it is called {other.name!r} there"
    return f"it is on {other.day or 'no day'} there, on {event.day or 'no day'} on Eventbrite"


def role_of(ticket_class: str, roles: Sequence[str]) -> str:
    """The role that a ticket class's name holds, else the one that everybody has."""
    words = folded(ticket_class).split()
    for role in roles:
        plain = folded(role)
        if role != DEFAULT_ROLE and any(word in (plain, f"{plain}s") for word in words):
            return role
    return DEFAULT_ROLE if DEFAULT_ROLE in roles or not roles else roles[0]


def on_record(events: Sequence[Mapping[str, Any]], word: str) -> list[Mapping[str, Any]]:
    """The events of CiviCRM that the word of a mapping means: the one of that id, or those of that title, the
    templates only where nothing else bears it."""
    by_id = [each for each in events if str(each["id"]) == word]
    named = [each for each in events if str(each["title"]).strip().casefold() == word.strip().casefold()]
    return by_id or [each for each in named if not each.get("is_template")] or named


def folded(name: str) -> str:
    """A name without what people write differently: case, accents, spaces, punctuation."""
    plain = "".join(
        letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter)
    )
    return " ".join(re.findall(r"\w+", plain.casefold().replace("&", " and ").replace("_", " ")))


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None


def _of_eventbrite(
    settings: Settings,
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Events that are on, with their start in UTC and at their place, the latest first; and their ticket
    classes."""
    import duckdb

    events = """
        select event_id, event_name, starts_at, starts_local from silver.events
        where source = 'eventbrite' and event_id <> 'unknown' and not is_cancelled and not is_deleted
        order by starts_at desc nulls last, event_id
    """
    classes = """
        select events.event_id, classes.ticket_class_id, classes.ticket_class_name
        from silver.ticket_classes as classes
        inner join silver.events as events on classes.event_key = events.event_key
        where events.source = 'eventbrite' and classes.category = 'admission' and not classes.is_deleted
        order by lower(classes.ticket_class_name), classes.ticket_class_id
    """
    unbuilt = ConfigurationError("No event has been loaded from Eventbrite yet.", "`make run` comes first.")
    if not settings.warehouse_path.exists():
        raise unbuilt
    try:
        with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
            return connection.execute(events).fetchall(), connection.execute(classes).fetchall()
    except duckdb.CatalogException:
        raise unbuilt from None
    except duckdb.Error as error:
        raise explained(error, settings.warehouse_path) or BoxofficeError(str(error)) from error


# -- showing


def _show(found: Suggestion, terminal: Terminal) -> None:
    if found.sure:
        terminal.say("Lines for civicrm_events.csv, of one name and day on both sides:", style="bold")
        _print(EVENTS, [pair.line for pair in found.sure])
        _list(found.sure, terminal)
    if found.unsure:
        terminal.say("Lines to take only after a look:", style="bold")
        _print(EVENTS, [pair.line for pair in found.unsure])
        _list(found.unsure, terminal)
    if found.roles:
        terminal.say("Lines for civicrm_roles.csv, of ticket classes without a role:", style="bold")
        _print(ROLES, found.roles)
    if found.alone:
        terminal.say("Nothing in CiviCRM is like these; make it there, or leave them out:", style="bold")
        for event in found.alone[:MOST_ALONE]:
            terminal.item(f"{event.id} {event.name}, {event.day or 'no day'}")
        if len(found.alone) > MOST_ALONE:
            terminal.item(f"and {len(found.alone) - MOST_ALONE:,} more, which --json lists")
    if not any((found.sure, found.unsure, found.roles, found.alone)):
        terminal.say("Every event on Eventbrite is mapped, and every ticket class has a role.")
    else:
        terminal.say("Nothing was changed: paste what is right into the files in MAPPINGS_DIR.")


def _list(found: Iterable[Pair], terminal: Terminal) -> None:
    for pair in found:
        ours, theirs = pair.eventbrite, pair.civicrm
        against = f": {pair.why}" if pair.why else ""
        terminal.item(f"{ours.id} {ours.name} is {theirs.id} {theirs.name}, {theirs.day}{against}")


def _print(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """As CSV, whatever the width of the terminal."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    click.echo(text.getvalue())


def _document(found: Iterable[Pair]) -> list[dict[str, Any]]:
    return [
        {
            **dict(zip(EVENTS, pair.line, strict=True)),
            "eventbrite_name": pair.eventbrite.name,
            "civicrm_title": pair.civicrm.name,
            "day": str(pair.civicrm.day),
            "why": pair.why,
        }
        for pair in found
    ]


def _rest(found: Suggestion) -> dict[str, Any]:
    return {
        "roles": [dict(zip(ROLES, line, strict=True)) for line in found.roles],
        "alone": [{**asdict(event), "day": str(event.day)} for event in found.alone],
    }
