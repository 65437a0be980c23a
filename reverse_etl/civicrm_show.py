"""What people are told of a plan for CiviCRM, and of what was done."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from boxoffice.errors import BoxofficeError
from boxoffice.session import Session, Step
from reverse_etl.civicrm_api import Site
from reverse_etl.civicrm_state import Note, Write
from reverse_etl.civicrm_sync import Outcome, duration
from reverse_etl.journal import Rejection
from reverse_etl.links import DESTINATION
from reverse_etl.show import LONGEST, MOST_CHANGES, MOST_KEYS, PERSONAL, kept

OF_PEOPLE = ("Contact", "Email", "Phone", "Address")
PLAIN = ("contact_type", "source")
Words = Mapping[str, Mapping[Any, str]]
MOST_NOTES = 3  # of a rule


def outcome(session: Session, step: Step, found: Outcome, site: Site, *, writes: bool) -> None:
    """Fill the step, and leave the session its problems, notes and figures."""
    step.landed, step.changed, step.rejected = found.orders, 0, len(found.rejections)
    step.requests = site.calls
    step.detail = _count(site.calls, "call")
    if writes:
        step.changed = found.written
        step.detail += f", {_count(len(found.writes), 'write')}" if found.writes else ""
    else:
        more = f"; {len(found.writes):,} more would write it" if found.writes else "; nothing to write"
        step.detail += more
    problems = [kept(session, site, DESTINATION, each) for each in found.problems]
    for call in site.failures:
        session.ops.add_api_error(session.run_id, DESTINATION, call)
    problems += _refused(found.rejections)
    for problem in problems:
        session.problem(step.name, problem)
    if problems and step.status == "ok":
        step.status = "partial"
    session.notes += [*_twice(found.twice), *_held(found.held), *_notes(found.notes)]
    session.facts[DESTINATION] = {
        "calls": site.calls,
        "orders": found.orders,
        "changed": found.changed,
        "written": found.written,
        "plan": found.writes,
        "refused": [_rejection(each) for each in found.rejections],
        "held": [_rejection(each) for each in found.held],
        "notes": [{"rule": each.rule, "key": each.key, "text": each.text} for each in found.notes],
    }
    if found.writes and not session.figures:
        heads = ("CiviCRM", "Rule", "Writes")
        rows = sorted(found.rules.items(), key=lambda each: (each[0][1], each[0][2], each[0][0]))
        session.figures = (
            heads,
            [(f"{action} {entity}", rule, f"{count:,}") for (rule, entity, action), count in rows],
        )
    if not writes:
        session.headlines += _lines(found)
        if found.writes:
            took = duration(found.seconds_a_call * len(found.writes))
            session.headlines.append(f"As fast as this site answers, it takes about {took}.")
            session.next.append("Next: `make sync` does this.")


def _refused(rejections: list[Rejection]) -> Iterator[BoxofficeError]:
    """One sentence for all orders that are refused for the same reason."""
    alike: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for each in rejections:
        alike[each.rule, each.reason, each.remedy].append(each.key)
    for (rule, reason, remedy), keys in alike.items():
        which = "An order" if len(keys) == 1 else f"{len(keys):,} orders"
        yield BoxofficeError(
            f"{which} cannot be written to CiviCRM ({_keys(keys)}; rule {rule}). {reason}",
            f"{remedy} All are in ops.rejected_rows and tried again in every run.",
        )


def _twice(twice: Mapping[str, set[int]]) -> Iterator[str]:
    for title, contacts in sorted(twice.items()):
        who = "A person is" if len(contacts) == 1 else f"{len(contacts):,} people are"
        yield (
            f"{who} registered for {title} already, by hand or import: each gets a second participant."
            " Take out those of before in CiviCRM, or map the event to one without them."
        )


def _held(held: list[Rejection]) -> Iterator[str]:
    alike: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for each in held:
        alike[each.rule, each.reason, each.remedy].append(each.key)
    for (rule, reason, remedy), keys in alike.items():
        who = "An attendee waits" if len(keys) == 1 else f"{len(keys):,} attendees wait"
        yield f"{who} ({_keys(keys)}; rule {rule}). {reason} {remedy}"


def _notes(notes: list[Note]) -> Iterator[str]:
    by_rule: defaultdict[str, list[Note]] = defaultdict(list)
    for each in notes:
        by_rule[each.rule].append(each)
    for rule, some in by_rule.items():
        yield from (f"{each.key}: {each.text} (Rule {rule}.)" for each in some[:MOST_NOTES])
        if len(some) > MOST_NOTES:
            yield f"Rule {rule}: {len(some) - MOST_NOTES:,} more like these, which --json lists."


def _lines(found: Outcome) -> list[str]:
    """The writes of a plan, one a line, as many as people read."""
    lines = [_line(order, write, found.words) for order, write in found.shown]
    if len(found.writes) > MOST_CHANGES:
        lines.append(f"and {len(found.writes) - MOST_CHANGES:,} more, which --json lists")
    return lines


def _line(order: str, write: Write, words: Words) -> str:
    whose = f" of attendee {write.key}" if write.key != order else ""
    cells = "; ".join(
        f"{name}: {_cell(write, name, value, words.get(name, {}))}" for name, value in write.values.items()
    )
    return f"Order {order}{whose}, {write.rule}: {write.action} {write.entity}: {cells}"


def _cell(write: Write, name: str, value: Any, words: Mapping[Any, str]) -> str:
    if write.entity in OF_PEOPLE and name not in PLAIN and not name.endswith("_id"):
        return PERSONAL
    new = _value(words[value] if words and value in words else value)
    before = write.before.get(name)
    old = _value(words[before] if words and before in words else before)
    return new if write.action == "create" else f"{old} -> {new}"


def _value(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and value < 0:
        return "(new)"
    text = (
        "(empty)" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    )
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _rejection(each: Rejection) -> dict[str, Any]:
    return {"key": each.key, "rule": each.rule, "reason": each.reason, "remedy": each.remedy}


def _keys(keys: list[str]) -> str:
    more = f" and {len(keys) - MOST_KEYS:,} more" if len(keys) > MOST_KEYS else ""
    return f"{', '.join(keys[:MOST_KEYS])}{more}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'s' if number != 1 else ''}"
