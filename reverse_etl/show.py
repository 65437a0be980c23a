"""What people are told of a plan and of what was done."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boxoffice.airtable_api import Client
from boxoffice.errors import BoxofficeError, CallError
from boxoffice.session import Session, Step
from reverse_etl.airtable import DESTINATION, Outcome
from reverse_etl.apply import Written
from reverse_etl.civicrm_api import Site
from reverse_etl.journal import Rejection
from reverse_etl.plan import Change, Plan

MOST_CHANGES = 20  # lines of a plan
MOST_KEYS = 3  # of refused rows in a sentence
LONGEST = 60  # characters of a value in a line
PERSONAL = "(personal)"


def outcome(session: Session, step: Step, found: Outcome, client: Client, *, writes: bool) -> None:
    """Fill the step, and leave the session its problems, notes and figures."""
    rejections = {
        plan.bound.table: _rejections(plan, found.written.get(plan.bound.model.name)) for plan in found.plans
    }
    done = [written.done for written in found.written.values()]
    step.landed = sum(plan.rows for plan in found.plans)
    step.changed = sum(sum(each.values()) for each in done)
    step.rejected = sum(map(len, rejections.values()))
    calls = sum(plan.calls for plan in found.plans)
    step.detail = f"{client.calls:,} call{'s' if client.calls != 1 else ''}"
    if not writes:
        step.detail += f"; {calls:,} more would write it" if calls else "; nothing to write"
    problems = [kept(session, client, DESTINATION, each) for each in found.problems]
    for call in client.failures:
        session.ops.add_api_error(session.run_id, DESTINATION, call)
    problems += [_refused(table, rows) for table, rows in rejections.items() if rows]
    for problem in problems:
        session.problem(step.name, problem)
    if problems and step.status == "ok":
        step.status = "partial"
    if found.made:
        session.notes.append(f"Made in Airtable: {', '.join(found.made)}.")
    session.notes += found.notes
    for plan in found.plans:
        session.notes += _notes(plan, found.written.get(plan.bound.model.name))
    session.facts[DESTINATION] = {
        "made": found.made,
        "calls": client.calls,
        "tables": [_document(plan, found.written.get(plan.bound.model.name)) for plan in found.plans],
    }
    if not session.figures and found.plans:
        session.figures = _figures(found.plans)
    if not writes:
        session.headlines += _lines(found.plans)
        if calls:
            session.next.append("Next: `make sync` does this.")


def kept(session: Session, client: Client | Site, system: str, problem: BoxofficeError) -> BoxofficeError:
    """The problem, with the number of the call that it came of, which is kept among the API errors."""
    call = problem.call if isinstance(problem, CallError) else None
    if call is None or call not in client.failures:
        return problem
    client.failures.remove(call)
    number = session.ops.add_api_error(session.run_id, system, call)
    return CallError(problem.problem, f"{problem.remedy} (API error {number}.)".strip())


def _rejections(plan: Plan, written: Written | None) -> list[Rejection]:
    return written.rejections if written and written.rejections else plan.rejections


def _refused(table: str, rejections: list[Rejection]) -> BoxofficeError:
    first = rejections[0]
    shown = ", ".join(each.key for each in rejections[:MOST_KEYS])
    more = f" and {len(rejections) - MOST_KEYS:,} more" if len(rejections) > MOST_KEYS else ""
    where = f"{first.field}: " if first.field else ""
    count = "A row" if len(rejections) == 1 else f"{len(rejections):,} rows"
    return BoxofficeError(
        f"{count} of {table} cannot be written ({shown}{more}). {where}{first.reason}",
        f"{first.remedy} All are in ops.rejected_rows and tried again in every run.",
    )


def _notes(plan: Plan, written: Written | None) -> Iterator[str]:
    table = plan.bound.table
    if plan.edits:
        is_kept = plan.bound.policies.on_edit == "keep" and not plan.reconciled
        what = "stay until there are new values" if is_kept else "are overwritten"
        fields = ", ".join(f"{name} {count:,}" for name, count in plan.edits.most_common())
        yield f"People changed cells of ours in {table}, which {what}: {fields}."
    if missing := plan.missing + (written.missing if written else 0):
        yield f"People deleted rows of ours in {table}: {missing:,}."
    if plan.left:
        yield f"{plan.left:,} rows that people deleted in {table} are not made again (on_missing is leave)."
    if plan.kept:
        yield f"{plan.kept:,} rows of {table} are no longer in {plan.bound.model.name}, and stay (on_delete)."


def _figures(plans: list[Plan]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Rows by what is to become of them; write calls, and the seconds that they take at five a second."""
    heads = ("Table", "Rows", "New", "Adopted", "Changed", "Archived", "Deleted", "Refused", "Calls")
    rows: list[Sequence[str]] = []
    for plan in plans:
        counts = (
            *(plan.rows, len(plan.creates), len(plan.adopts), len(plan.updates) - plan.archived),
            *(plan.archived, len(plan.deletes), len(plan.rejections), plan.calls),
        )
        cells = [f"{count:,}" if count else "" for count in counts]
        rows.append((plan.bound.table, *cells, f"{plan.seconds:.1f}" if plan.calls else ""))
    return (*heads, "Seconds"), rows


def _lines(plans: list[Plan]) -> list[str]:
    """The changes of a plan, one a line, as many as people read."""
    lines = [line for plan in plans for line in _table_lines(plan)]
    if len(lines) > MOST_CHANGES:
        lines[MOST_CHANGES:] = [f"and {len(lines) - MOST_CHANGES:,} more, which --json lists"]
    return lines


def _table_lines(plan: Plan) -> Iterator[str]:
    for change in (*plan.updates, *plan.adopts, *plan.creates):
        cells = "; ".join(f"{name}: {old} -> {new}" for name, old, new in _cells(plan, change))
        if change.kind == "create":
            cells = "; ".join(f"{name}: {new}" for name, _, new in _cells(plan, change))
        yield f"{plan.bound.table}: {change.kind} {change.key}: {cells}"
    yield from (f"{plan.bound.table}: delete {key}" for key in plan.deletes)


def _cells(plan: Plan, change: Change) -> Iterator[tuple[str, str, str]]:
    """Field, old and new value of each cell that is sent."""
    for each, cell in change.cells.items():
        if each in plan.bound.personal:
            yield plan.bound.fields[each].name, PERSONAL, PERSONAL
            continue
        old = _value(change.before[each]) if each in change.before else "?"
        new = ", ".join(change.links[each]) if each in change.links else _value(cell)
        yield plan.bound.fields[each].name, old, new


def _value(cell: Any) -> str:
    if cell is None:
        return "(empty)"
    text = ", ".join(map(str, cell)) if isinstance(cell, list) else str(cell)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _document(plan: Plan, written: Written | None) -> dict[str, Any]:
    """What --json tells of a table."""
    fields, personal = plan.bound.fields, plan.bound.personal

    def change(each: Change) -> dict[str, Any]:
        cells: dict[str, dict[str, Any]] = {}
        for key, cell in each.cells.items():
            cells[fields[key].name] = {"old": each.before.get(key), "new": each.links.get(key) or cell}
            if key in personal:
                cells[fields[key].name] = {"old": PERSONAL, "new": PERSONAL}
        return {"key": each.key, "record": each.record, "cells": cells}

    changes: dict[str, Any] = {
        "creates": [change(each) for each in plan.creates],
        "adopts": [change(each) for each in plan.adopts],
        "updates": [change(each) for each in plan.updates if each.kind == "update"],
        "archives": [change(each) for each in plan.updates if each.kind == "archive"],
        "deletes": [{"key": key, "record": record} for key, record in plan.deletes.items()],
    }
    if written:
        changes = {"planned": {kind: len(rows) for kind, rows in changes.items()}, "done": dict(written.done)}
    return {
        "table": plan.bound.table,
        "model": plan.bound.model.name,
        "rows": plan.rows,
        **changes,
        "refused": [_rejection(each) for each in _rejections(plan, written)],
        "edits": dict(plan.edits),
        "calls": plan.calls,
        "seconds": plan.seconds,
    }


def _rejection(each: Rejection) -> Mapping[str, Any]:
    return {"key": each.key, "field": each.field, "reason": each.reason, "remedy": each.remedy}
